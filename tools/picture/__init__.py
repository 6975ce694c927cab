"""Makes the pictures of the documentation from what really runs: `python -m tools.picture`."""
