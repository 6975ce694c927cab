"""Diagnostics: what is wrong, where, what to do; and as text. For all that reads files."""
