"""Durability (fsync): what was written gets onto the disk itself; a power cut spares it."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Syncing:
    """Syncs files in a thread of its own: a card may take a second, and writing must go on.

    Args:
        descriptor: Of a file; closed at the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptors = [descriptor]
        self._executor: ThreadPoolExecutor | None = None
        self._job: Future[None] | None = None

    @property
    def size(self) -> int:
        """How many bytes the first file has."""
        return os.fstat(self._descriptors[0]).st_size

    def add(self, descriptor: int) -> None:
        """Sync another file with it; closed at the end."""
        self._descriptors.append(descriptor)

    def start(self) -> None:
        """Begin to sync, unless the last time is not over yet.

        Raises:
            OSError: The last time failed.
        """
        if self._job is not None:
            if not self._job.done():
                return
            self._job.result()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="fsync")
        self._job = self._executor.submit(self.finish)

    def finish(self) -> None:
        """Return when what was written is on the disk.

        Raises:
            OSError: It cannot be.
        """
        for descriptor in self._descriptors:
            os.fsync(descriptor)

    def close(self) -> None:
        """Wait for what is going on and let go of the files."""
        if self._executor is not None:
            self._executor.shutdown()
        for descriptor in self._descriptors:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk.

    Raises:
        OSError: It cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
