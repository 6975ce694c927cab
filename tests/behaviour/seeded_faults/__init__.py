"""A thousand seeded faults in one process: small pipelines, a few faults each, and an oracle."""
