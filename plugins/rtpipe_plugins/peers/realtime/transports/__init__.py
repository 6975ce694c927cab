"""Transports: how a call travels, a folder each. For calls and the latency meter."""
