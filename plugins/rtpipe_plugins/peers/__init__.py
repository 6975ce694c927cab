"""Peers, one room for each kind: what takes audio in and gives other audio out."""
