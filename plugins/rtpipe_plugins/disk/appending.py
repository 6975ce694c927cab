"""Appending to a file that others read meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO


def append(file: FileIO, data: bytes) -> None:
    """Write all of `data` at the end of an unbuffered file, or nothing of it.

    Raises:
        OSError: It could not be written; what had been is taken back.
    """
    start = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):  # the error to tell is the first one
            file.truncate(start)
        raise
