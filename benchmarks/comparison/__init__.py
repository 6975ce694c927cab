"""Runs the subjects side by side, and makes the page of what came of it."""
