"""Arithmetic on samples and their times, for any stage; nothing here does input or output."""
