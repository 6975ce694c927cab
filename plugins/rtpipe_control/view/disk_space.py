"""How much is free on a disk, asked in a thread: a network share that is gone never answers."""

from __future__ import annotations

import shutil
import time
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_STALE_S = 15.0
_GONE_S = 60.0


class Space(NamedTuple):
    """Of a disk, in bytes."""

    size: int
    free: int


class DiskSpace:
    """The space of the disk that a folder is on.

    Args:
        folder: The folder; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asking: Thread | None = None
        self._found: Space | None = None
        self._asked_at = self._found_at = float("-inf")
        self.ask()

    def last(self) -> Space | None:
        """Return what the disk said last and have it asked again; None: nothing for a minute."""
        now = time.monotonic()
        if now - self._asked_at > _STALE_S:
            self.ask()
        return self._found if now - self._found_at < _GONE_S else None

    def ask(self) -> None:
        """Ask the disk, in a thread of its own, unless it still owes an answer."""
        if self._asking is None or not self._asking.is_alive():
            self._asked_at = time.monotonic()
            self._asking = Thread(target=self._ask, name="disk space", daemon=True)
            self._asking.start()

    def _ask(self) -> None:
        try:
            asked = shutil.disk_usage(self.folder)
        except OSError:
            return
        self._found = Space(asked.total, asked.free)
        self._found_at = time.monotonic()
