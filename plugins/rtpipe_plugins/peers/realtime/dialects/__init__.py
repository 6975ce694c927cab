"""Dialects, a folder for each protocol: all that knows an event's name. `choice` picks one."""
