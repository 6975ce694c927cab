"""Latency: what a visitor waits for, part by part. For the stage alone."""
