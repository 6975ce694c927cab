"""What cases leave behind in the process: descriptors, threads, children, memory."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from pathlib import Path

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
_SETTLE_S = 3.0
MOST_KB_A_CASE = 300.0
"""Of resident memory, over hundreds of cases: the allocator's pools go up and down by more."""
MOST_OBJECTS_A_CASE = 20.0
"""Of Python's; caches fill."""


class Remains:
    """Looks at the process again and again; see `complaints`."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.kilobytes: list[int] = []
        self.objects: list[int] = []

    def count(self, cases: int) -> None:
        """Look: `cases` were played so far."""
        gc.collect()
        deadline = time.monotonic() + _SETTLE_S
        now = _descriptors(), threading.active_count()
        while self.seen and (now > self.seen[0][1:]) and time.monotonic() < deadline:
            time.sleep(0.02)  # a thread that ends, ends by itself
            now = _descriptors(), threading.active_count()
        self.seen.append((cases, *now))
        self.objects.append(len(gc.get_objects()))
        _malloc_trim(0)  # what is free but not given back is no leak
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        self.kilobytes.append(resident * os.sysconf("SC_PAGESIZE") // 1024)

    def complaints(self) -> list[str]:
        """Return what grew, in words."""
        found = []
        if len(self.seen) > 2:
            _, descriptors, threads = self.seen[0]
            _, descriptors_now, threads_now = self.seen[-1]
            if descriptors_now > descriptors:
                found.append(f"files or sockets: {self.seen}")
            if threads_now > threads:
                names = [thread.name for thread in threading.enumerate()]
                found.append(f"threads: {self.seen}: {names}")
        half = len(self.seen) // 2
        if half > 2:
            cases = self.seen[-1][0] - self.seen[half][0]
            grown = (self.kilobytes[-1] - self.kilobytes[half]) / cases
            if grown > MOST_KB_A_CASE:
                found.append(f"{grown:.0f} kB a case: {self.kilobytes}")
            more = (self.objects[-1] - self.objects[half]) / cases
            if more > MOST_OBJECTS_A_CASE:
                found.append(f"{more:.0f} objects a case: {self.objects}")
        return found


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
