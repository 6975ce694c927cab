"""A thousand seeded faults in one process: small pipelines, each with a few faults, and an oracle."""
