"""Deleting what was found: whole files, and lines out of files that others append to meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from rtpipe_plugins.commands.forget.search import record_of
from rtpipe_plugins.disk.durability import sync_folder
from rtpipe_plugins.disk.locks import lock_to_delete
from rtpipe_plugins.disk.path_pattern import TURNS

if TYPE_CHECKING:
    from typing import IO

    from rtpipe_plugins.commands.forget.search import Wanted


class InUse(Exception):  # noqa: N818 - told to people, and harmless
    """Somebody reads or writes the file."""


def delete(path: Path) -> int:
    """Delete a file, and the folder of clips that it leaves empty; return its size.

    Raises:
        InUse: It is being read or written.
        OSError: It cannot be deleted.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not lock_to_delete(descriptor):
            raise InUse
        size = os.fstat(descriptor).st_size
        path.unlink()
    finally:
        os.close(descriptor)
    if path.parent.suffix == TURNS:
        with suppress(OSError):
            path.parent.rmdir()
    return size


def rewrite(path: Path, wanted: Wanted) -> int:
    """Take lines out of a file, in one step; return how many.

    Whoever appends to it goes on in the new file; what was appended to the old one meanwhile is
    carried over. Its time stays, so that `keep` counts as before.

    Raises:
        OSError: It cannot be rewritten: it is as it was.
    """
    removed = 0
    with path.open("rb") as old:
        status = os.fstat(old.fileno())
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
            try:
                removed += _copy(old, new, wanted)
                new.flush()
                os.fchmod(new.fileno(), status.st_mode & 0o7777)
                with suppress(OSError):
                    os.fchown(new.fileno(), status.st_uid, status.st_gid)
                os.fsync(new.fileno())
                os.utime(new.name, ns=(status.st_atime_ns, status.st_mtime_ns))
                Path(new.name).replace(path)
            except BaseException:
                Path(new.name).unlink(missing_ok=True)
                raise
        with path.open("ab") as file:
            removed += _copy(old, file, wanted)
    sync_folder(path.parent)
    return removed


def _copy(old: IO[bytes], new: IO[bytes], wanted: Wanted) -> int:
    """Copy the lines that stay; return how many did not."""
    removed = 0
    for line in old:
        if wanted.is_meant(record_of(line)):
            removed += 1
        else:
            new.write(line)
    return removed
