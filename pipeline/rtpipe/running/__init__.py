"""A pipeline that runs: planned, opened, moved, ended. No stage imports it."""
