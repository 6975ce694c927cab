"""What a running pipeline shows: its snapshot, its events as they come, levels. No HTTP in here."""
