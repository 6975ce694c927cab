"""What rtpipe promises of recordings and of its own end, tried by real runs and real signals.

    .venv/bin/python -m tools.reliability kill --times 100 --format wav

prints figures and ends with 1 if a promise is broken; docs/explanation/reliability.md has them.
"""
