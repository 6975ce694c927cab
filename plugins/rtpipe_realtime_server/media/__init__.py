"""Audio in the server: wire forms, rates, and whether it is speech. For all that is above it."""
