"""Sinks: what may end a chain under `stages:`. A sink's parts are its own."""
