"""Dialects: what is spoken with a server, a folder each. Nobody else knows an event's name."""
