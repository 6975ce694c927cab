"""The life of calls: placed, kept, rolled over, paid for, hung up. For the stage alone."""
