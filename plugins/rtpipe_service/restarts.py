"""Which exit codes are worth another start, by the table in docs/reference/exit-codes.md."""

from __future__ import annotations

from rtpipe import ExitCode

FINAL = (ExitCode.USAGE, ExitCode.NO_PERMISSION, ExitCode.CONFIGURATION)
"""A mistake that somebody must mend: the next start would end like this one.

All others are started again, but for OK: it ran to its end, or was asked to stop.
"""
