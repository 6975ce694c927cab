"""Audio in the server: its wire forms, its rates, and whether it is speech."""
