"""Subscribers: what may stand under `events:`."""
