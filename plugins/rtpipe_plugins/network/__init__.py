"""What the network's addresses and answers mean, for any stage that talks to a server."""
