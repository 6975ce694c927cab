"""Peers: stages that take audio in and give other audio out."""
