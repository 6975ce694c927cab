"""Garbage collection in a process that is a command: rare while it loads, brief while it runs."""

from __future__ import annotations

import gc

_ROOM = 20_000
"""Objects; Python's own 700 are reached 200 times on the way to a call, by what stays."""
_before: list[tuple[int, int, int]] = []


def collect_rarely() -> None:
    """Look for garbage rarely: what is loaded is none, and to look is a twentieth of a start."""
    _before.append(gc.get_threshold())
    gc.set_threshold(_ROOM, *_before[0][1:])


def keep_what_is_loaded() -> None:
    """Collect as Python does, but never again among what is loaded: that holds audio for 50 ms.

    Does nothing in a program that is not the command: its collector is its own.
    """
    if _before:
        gc.freeze()
        gc.set_threshold(*_before.pop())
