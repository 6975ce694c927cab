"""Files: names, locks, durability, threads; for sinks, subscribers and sources."""
