"""Generates docs/reference from what is installed."""
