"""Transforms: what may stand in the middle of a chain under `stages:`."""
