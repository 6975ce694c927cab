"""Locks on files (flock): who reads and who writes; a kill releases them.

They hold between stages and between processes, and under every name that a file has.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lock_to_write(descriptor: int) -> bool:
    """Lock an open file against every other reader and writer; return whether none has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.EWOULDBLOCK  # else no locks on this share: the name must do
    return True


def lock_to_append(descriptor: int) -> None:
    """Keep a file, open to read and append, from being deleted; others may append to it, too.

    A lock of another kind (OFD) than that of readers and writers: `lock_to_delete` meets both.
    """
    with suppress(OSError):
        _lock_as_appender(descriptor, fcntl.F_RDLCK)


def lock_to_delete(descriptor: int) -> bool:
    """Lock a file, open to read and write, against everybody; return whether none has it."""
    try:
        _lock_as_appender(descriptor, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
    return lock_to_write(descriptor)


def lock_to_read(path: Path) -> int | None:
    """Keep writers away from a file, unless one has it already: a recording may be read meanwhile.

    Returns:
        A file descriptor that holds the lock until it is closed; None if there is nothing to lock.
    """
    with suppress(OSError, ValueError):  # whoever reads it next tells what is wrong with it
        if stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would take its writer
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return descriptor
    return None


def _lock_as_appender(descriptor: int, type: int) -> None:
    whole_file = struct.pack("hhqqi", type, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole_file)


def is_locked(path: Path) -> bool:
    """Return whether a file is being read or written, as far as that can be told."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock_to_write(descriptor)
    finally:
        os.close(descriptor)
