"""The session object and the grammar of what clients send; imports nothing of the server."""
