"""Reload: another file for a pipeline that runs; what differs, and how that is carried out."""
