"""Appending to a file that others read, rotate and remove meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.locks import lock_to_append

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path


class AppendedFile:
    """A file of records under a name; blocking.

    Where the name no longer leads to the open file (log rotation, a folder removed) it is opened
    anew; after a record that was cut off the next begins cleanly.

    Args:
        path: Its name; its folders are made.
        ending: What each record ends with.
        header: What stands at the beginning of the file.
    """

    def __init__(self, path: Path, *, ending: bytes = b"\n", header: bytes = b"") -> None:
        self.path = path
        self._ending = ending
        self._header = header
        self._file: FileIO | None = None

    def open(self) -> None:
        """Open it, and begin it where it is new.

        Raises:
            OSError: It cannot be written.
        """
        self.append(b"")

    def append(self, record: bytes) -> None:
        """Write all of `record` at the end of the file, or nothing of it.

        Raises:
            OSError: It could not be written; what had been is taken back.
        """
        file = self._opened()
        size = file.seek(0, os.SEEK_END)
        if not size:
            record = self._header + record
        elif os.pread(file.fileno(), len(self._ending), size - len(self._ending)) != self._ending:
            record = self._ending + record
        _append(file, record, size)

    def close(self) -> None:
        """Close it; `append` would open it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> FileIO:
        if self._file is not None and not self._is_under_its_name(self._file):
            self.close()
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            lock_to_append(self._file.fileno())
        return self._file

    def _is_under_its_name(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except OSError:
            return False


def _append(file: FileIO, data: bytes, start: int) -> None:
    written = 0
    try:
        while written < len(data):
            written += file.write(memoryview(data)[written:])
    except OSError:
        with suppress(OSError):  # the error to tell is the first one
            if os.fstat(file.fileno()).st_size == start + written:  # nobody wrote after us
                file.truncate(start)
        raise
