"""What a process that is a command asks of Python and of its libraries.

A program that uses rtpipe as a library has its own ideas of both: there nothing here does anything.
"""

from __future__ import annotations

import gc
import os
import sys

_ROOM = 20_000
"""Objects; Python's own 700 are reached 200 times on the way to a call, by what stays."""
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
_before: list[tuple[int, int, int]] = []


def collect_rarely() -> None:
    """Look for garbage rarely: what is loaded is none, and to look is a twentieth of a start."""
    _before.append(gc.get_threshold())
    gc.set_threshold(_ROOM, *_before[0][1:])


def load_numpy() -> None:
    """Import numpy without threads for its linear algebra: they spin at their start, and idle then.

    A number of threads that the user has set holds. Child processes do not inherit ours.
    """
    if not _before or "numpy" in sys.modules or any(name in os.environ for name in _BLAS_THREADS):
        return
    os.environ[_BLAS_THREADS[0]] = "1"
    try:
        import numpy as np  # noqa: F401 - it reads the variable now
    finally:
        del os.environ[_BLAS_THREADS[0]]


def keep_what_is_loaded() -> None:
    """Collect as Python does, but never again among what is loaded: that holds audio for 50 ms."""
    if _before:
        gc.freeze()
        gc.set_threshold(*_before.pop())
