"""Files that are written: names, durability, threads; for sinks and subscribers."""
