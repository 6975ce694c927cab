"""Transports: how a call travels, a folder each."""
