"""What only does arithmetic on samples, for any stage; nothing here reads, writes or waits."""
