"""Brains: what answers a visitor."""
