"""Measurements: `python -m benchmarks` beside other programs, and scripts on one matter each."""
