"""Memory that was freed, given back to the system: glibc keeps it for the process otherwise."""

from __future__ import annotations

import asyncio
import ctypes


async def give_back() -> None:
    """Give what the heap does not use back to the system, off the event loop.

    Does nothing where the C library has no `malloc_trim`: elsewhere it is given back by itself.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no library of all
        return
    await asyncio.get_running_loop().run_in_executor(None, trim, 0)
