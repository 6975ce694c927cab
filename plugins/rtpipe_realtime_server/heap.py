"""Memory that was freed, given back to the system: glibc keeps it for the process otherwise."""

from __future__ import annotations

import ctypes
import gc


def return_freed_memory() -> None:
    """Give what the heap does not use back to the system; takes up to some 100 ms.

    Does nothing where the C library has no `malloc_trim`: elsewhere it is given back by itself.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no library of all
        return
    trim(0)
