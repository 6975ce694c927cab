"""Subscribers that ship: what events become outside the pipeline."""
