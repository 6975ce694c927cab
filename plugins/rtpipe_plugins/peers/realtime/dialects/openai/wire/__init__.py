"""What servers send: formats of audio, and names and shapes of the beta. For the dialect alone."""
