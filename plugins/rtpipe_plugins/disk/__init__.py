"""Files: names, records, locks, durability, threads; for sinks, subscribers and sources."""
