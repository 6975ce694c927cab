"""What is measured: `python -m benchmarks` beside other programs; each script a matter of its own."""
