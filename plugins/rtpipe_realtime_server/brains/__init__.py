"""Brains: what answers a visitor; all keep to `talk.brain`. For who starts a server."""
