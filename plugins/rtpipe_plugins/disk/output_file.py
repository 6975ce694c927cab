"""An output file while it is written: locked, and replacing another only when it is complete."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.durability import sync_folder
from rtpipe_plugins.disk.locks import lock_to_write
from rtpipe_plugins.disk.output_path import free_name

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class OutputFile:
    """A name that is taken, until `close`.

    Attributes:
        path: What the file is called when it is complete.
        written_to: Where to write: `path`, or `NAME.part.EXT` while that still holds another file.
        descriptor: Of the file at `written_to`; it is locked.
        kept: Where a `NAME.part.EXT` that a kill had left was put.
        old: Descriptor of the file that is replaced; it is locked, too.
    """

    path: Path
    written_to: Path
    descriptor: int
    kept: Path | None = None
    old: int | None = None

    @property
    def replaces(self) -> bool:
        """Whether it is written aside, and takes its name when it is complete."""
        return self.written_to != self.path

    def complete(self, *, durable: bool = False) -> None:
        """Give the file its name, in the place of the one that has it; `durable`: on the disk.

        Raises:
            FileExistsError: Another file has come to that name; this one stays where it is.
            OSError: It cannot be renamed.
        """
        if self.replaces:
            if os.path.lexists(self.path) and not _is_at(self.old, self.path):
                raise FileExistsError(
                    f"another file was written there meanwhile; this one is {self.written_to}"
                )
            self.written_to.replace(self.path)
            if durable:
                sync_folder(self.path.parent)
            self.written_to = self.path

    def remove(self) -> None:
        """Remove what was written; what it should have replaced stays."""
        if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            self.written_to.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the name."""
        for descriptor in (self.descriptor, self.old):
            if descriptor is not None:
                os.close(descriptor)


def claim(
    path: Path, *, overwrite: bool, suffix: str | None = None, aside: bool = False
) -> OutputFile | None:
    """Take a name for writing, so that no one else does, in this process or another.

    A symbolic link is never followed. What exists stays as it is until the new file is complete.

    Args:
        path: The name.
        overwrite: Whether a file that exists may be replaced.
        suffix: What follows `.part`; by default the ending.
        aside: Write to `NAME.part.EXT` even if the name is free.

    Returns:
        The file; None if the name is taken, or the file is being read or written.

    Raises:
        OSError: It cannot be made.
    """
    old = None
    if os.path.lexists(path):
        if not overwrite:
            return None
        if path.exists() and not path.is_file():  # a device is written to, not replaced
            return OutputFile(path, path, os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        old = None if path.is_symlink() else _locked(path, _OPEN)
        if old is None:
            return None
    elif not aside:
        new = _locked(path, _OPEN | os.O_CREAT | os.O_EXCL)
        return None if new is None else OutputFile(path, path, new)
    try:
        return _aside(path, path.suffix if suffix is None else suffix, old)
    except BaseException:
        if old is not None:
            os.close(old)
        raise


def _aside(path: Path, suffix: str, old: int | None) -> OutputFile | None:
    part = path.with_name(f"{path.name.removesuffix(suffix)}.part{suffix}")
    kept = None
    while (new := _locked(part, _OPEN | os.O_CREAT | os.O_EXCL)) is None:
        left = _locked(part, _OPEN)
        if left is None:
            if old is not None:
                os.close(old)
            return None
        kept = free_name(part, suffix=suffix)
        part.rename(kept)
        os.close(left)
    if old is not None:
        with suppress(OSError):  # not every disk knows of permissions
            os.fchmod(new, stat.S_IMODE(os.fstat(old).st_mode))
    return OutputFile(path, part, new, kept, old)


def _locked(path: Path, flags: int) -> int | None:
    """Open and lock a file; None if it is there already or locked, or no longer of that name."""
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileExistsError:
        return None
    if lock_to_write(descriptor) and _is_at(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def _is_at(descriptor: int | None, path: Path) -> bool:
    """Return whether an open file is the one that a path names."""
    if descriptor is None:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
