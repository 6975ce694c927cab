"""Subscribers: what may stand under `events:`. A subscriber's parts are its own."""
