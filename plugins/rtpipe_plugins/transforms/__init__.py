"""Transforms: what may stand inside a chain under `stages:`. A transform's parts are its own."""
