"""Calls: placed, kept, called again, rolled over, budgeted, hung up. For the stage alone."""
