"""Containers and codecs, read and written by FFmpeg: for sources, sinks and `chime`."""
