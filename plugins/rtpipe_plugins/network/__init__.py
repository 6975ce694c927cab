"""Addresses and failures of the network: for every stage that talks to a server."""
