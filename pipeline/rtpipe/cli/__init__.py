"""The `rtpipe` command: one file per group of commands, imported when one of them is called."""

from __future__ import annotations

from rtpipe.cli.root import cli, main

__all__ = ["cli", "main"]
