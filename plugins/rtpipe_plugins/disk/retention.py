"""Retention: what a stage wrote goes when it is too old, too much, or the disk is short of space.

A file goes only if the stage's own path can have written it, nobody has it locked, and it lies in
the folder itself: no symbolic link below it is followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from rtpipe import Finding, Options, reason_of
from rtpipe_plugins.disk.locks import lock_to_delete
from rtpipe_plugins.disk.output_path import dated
from rtpipe_plugins.disk.path_pattern import PathPattern, agree

if TYPE_CHECKING:
    import logging
    import re
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

Reason: TypeAlias = Literal["days", "gb", "free_gb"]

_DAY_S = 86_400
_GB = 1_000_000_000
_CLOCK_WAS_SET = 1_577_836_800
"""2020: a file from before was written by a machine whose clock was not set yet."""
_MOST_FILES = 200_000
"""Looked at in one go; whatever is beyond waits until these are fewer."""
_MOST_REMOVED = 1000
"""Recordings in one look; the next one follows at once."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Keep(Options):
    """How long files are kept. Each limit holds by itself; the oldest go first."""

    days: float | None = Field(None, gt=0)
    """Files go that nobody has written to for so many days."""
    gb: float | None = Field(None, gt=0)
    """The oldest go while all of them together have more than so many gigabytes (10⁹ bytes)."""
    free_gb: float | None = Field(None, gt=0)
    """The oldest go while the disk has less than so many gigabytes free (10⁹ bytes)."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.days is self.gb is self.free_gb is None:
            raise ValueError("say `days`, `gb` or `free_gb`: without one everything is kept")
        return self


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that may go.

    Attributes:
        parts: Its folders and its name, below the root.
        status: Of when it was looked at.
    """

    parts: tuple[str, ...]
    status: os.stat_result


@dataclass(slots=True)
class KeptGroup:
    """A file and what lies beside it: they go together.

    Attributes:
        key: The folders below the root, and what the names have in common.
        files: In no order.
    """

    key: tuple[str, ...]
    files: list[KeptFile] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many bytes they have together."""
        return sum(each.status.st_size for each in self.files)

    @property
    def time(self) -> float:
        """When one of them was last written to (POSIX)."""
        return max(each.status.st_mtime for each in self.files)


@dataclass(frozen=True, slots=True)
class Removed:
    """Files that went, of one group."""

    paths: tuple[Path, ...]
    size: int
    time: float
    reason: Reason


@dataclass(slots=True)
class Sweep:
    """What came of a look.

    Attributes:
        removed: What went.
        errors: What should have gone and could not, with the reason.
        short: How many bytes of free space are missing still.
        more: Whether there is more to do.
    """

    removed: list[Removed] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    short: int = 0
    more: bool = False


class Retention:
    """The files of one stage, and the rule for them; blocking.

    Args:
        pattern: Which files are the stage's.
        rule: How long they are kept.
        log: Each deletion is told here (debug).
    """

    def __init__(self, pattern: PathPattern, rule: Keep, log: logging.Logger) -> None:
        self._pattern = pattern
        self._rule = rule
        self._log = log

    def missing_bytes(self) -> int:
        """Return how many bytes of free space are missing; 0 where none is asked for."""
        if self._rule.free_gb is None:
            return 0
        folder = self._pattern.root
        with suppress(OSError):
            disk = os.statvfs(next(each for each in (folder, *folder.parents) if each.exists()))
            return max(round(self._rule.free_gb * _GB) - disk.f_bavail * disk.f_frsize, 0)
        return 0

    def sweep(
        self,
        now: datetime,
        writing: Path | None = None,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> Sweep:
        """Remove what the rule names.

        Args:
            now: The local date and time.
            writing: The file that the stage writes now, beside which nothing goes, either.
            goes_on: Whether to go on; asked before each file that is looked at or goes.
        """
        done = Sweep()
        with ExitStack() as stack:
            try:
                root = os.open(self._pattern.root, _FOLDER)
            except OSError:
                done.short = self.missing_bytes()
                return done  # nothing was written yet
            stack.callback(os.close, root)
            try:
                found = groups_in(self._pattern, root, goes_on)
            except OSError as error:
                done.errors.append(f"{self._pattern.root}: {reason_of(error)}")
                return done
            groups = sorted(found, key=lambda group: (group.time, group.key))
            total = sum(group.size for group in groups)
            held = None if writing is None else self._key_of(writing)
            for group in groups:
                if not goes_on():
                    break
                reason = self._reason(group, total, now.timestamp())
                if reason is None or group.key == held:
                    continue
                if len(done.removed) >= _MOST_REMOVED:
                    done.more = True
                    break
                if self._remove(root, group, reason, done):
                    total -= group.size
                    self._remove_folders(root, group.key[:-1], now)
        done.short = self.missing_bytes()
        return done

    def _reason(self, group: KeptGroup, total: int, now: float) -> Reason | None:
        rule, time = self._rule, group.time
        if rule.days is not None and time > _CLOCK_WAS_SET and now - time > rule.days * _DAY_S:
            return "days"
        if rule.gb is not None and total > rule.gb * _GB:
            return "gb"
        return "free_gb" if self.missing_bytes() else None

    def _key_of(self, path: Path) -> tuple[str, ...] | None:
        with suppress(ValueError):
            *folders, name = path.relative_to(self._pattern.root).parts
            if match := self._pattern.file(name):
                return (*folders, match["stem"])
        return None

    def _remove(self, root: int, group: KeptGroup, reason: Reason, done: Sweep) -> bool:
        """Remove a group, unless one of it is in use; returns whether all of it went."""
        gone: list[KeptFile] = []
        try:
            with ExitStack() as stack:
                places = [_taken(root, each, stack) for each in group.files]
                if None in places:  # in use, or no longer the file that was looked at
                    return False
                for each, place in zip(group.files, places, strict=True):
                    assert place is not None
                    os.unlink(each.parts[-1], dir_fd=place)
                    gone.append(each)
                    self._log.debug("keep: %s deleted (%s)", "/".join(each.parts), reason)
        except OSError as error:
            done.errors.append(f"{'/'.join(group.key)}: {reason_of(error)}")
        if self._pattern.companions.folder:
            clips = (*group.key[:-1], group.key[-1] + self._pattern.companions.folder)
            _remove_folder(root, clips)
        if gone:
            paths = tuple(self._pattern.root.joinpath(*each.parts) for each in gone)
            size = sum(each.status.st_size for each in gone)
            done.removed.append(Removed(paths, size, group.time, reason))
        return len(gone) == len(group.files)

    def _remove_folders(self, root: int, folders: tuple[str, ...], now: datetime) -> None:
        """Remove folders with a date that are empty now, but for those of today."""
        today = dated(self._pattern.template, now).parent
        while folders and not today.is_relative_to(self._pattern.root.joinpath(*folders)):
            if not _remove_folder(root, folders):
                return
            folders = folders[:-1]


def groups_in(
    pattern: PathPattern, root: int, goes_on: Callable[[], bool] = lambda: True
) -> list[KeptGroup]:
    """Return the files below an open folder that a pattern can have made, as they go together."""
    groups: dict[tuple[str, ...], KeptGroup] = {}
    if pattern.unreadable:
        return []
    for key, file in _matching(pattern, root, (), [], [_MOST_FILES], goes_on):
        groups.setdefault(key, KeptGroup(key)).files.append(file)
    return list(groups.values())


def useless_keep(pattern: PathPattern, rule: Keep | None) -> Iterator[Finding]:
    """Yield that a rule can never delete anything."""
    if rule is None:
        return
    if pattern.unreadable:
        message = f"`keep` cannot read `{pattern.unreadable}` back from a name: it deletes nothing"
        yield Finding("odd", message, "keep", "write the date as `%Y%m%d-%H%M%S`")
    elif not pattern.varies:
        message = "`path` is one file for ever, the one being written: `keep` deletes nothing"
        help = f"put the date into its name: `{_with_date(pattern.template)}`"
        yield Finding("odd", message, "keep", help)


def _with_date(path: Path) -> str:
    return f"{path.stem}-%Y%m%d{path.suffix}"


def _matching(
    pattern: PathPattern,
    folder: int,
    parts: tuple[str, ...],
    matches: list[re.Match[str]],
    left: list[int],
    goes_on: Callable[[], bool],
) -> Iterator[tuple[tuple[str, ...], KeptFile]]:
    """Yield each file with the key of its group; `folder` is `parts` below the root."""
    innermost = len(parts) == len(pattern.folders)
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0 or not goes_on():
                return
            with suppress(OSError):  # it went meanwhile, or may not be read
                status = entry.stat(follow_symlinks=False)
                name = entry.name
                if not innermost:
                    match = pattern.folder(len(parts), name)
                    if match and stat.S_ISDIR(status.st_mode):
                        with _Inside(folder, name) as inside:
                            deeper = (*parts, name)
                            yield from _matching(
                                pattern, inside, deeper, [*matches, match], left, goes_on
                            )
                elif stat.S_ISREG(status.st_mode):
                    match = pattern.file(name)
                    if match and agree([*matches, match]):
                        yield (*parts, match["stem"]), KeptFile((*parts, name), status)
                elif stat.S_ISDIR(status.st_mode):
                    match = pattern.clips(name)
                    if match and agree([*matches, match]):
                        with _Inside(folder, name) as inside:
                            for clip in _clips(pattern, inside, left, goes_on):
                                file = KeptFile((*parts, name, *clip.parts), clip.status)
                                yield (*parts, match["stem"]), file


def _clips(
    pattern: PathPattern, folder: int, left: list[int], goes_on: Callable[[], bool]
) -> Iterator[KeptFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0 or not goes_on():
                return
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and pattern.clip(entry.name):
                    yield KeptFile((entry.name,), status)


class _Inside:
    """A folder, opened by its name in another; never by way of a symbolic link."""

    def __init__(self, folder: int, name: str) -> None:
        self._descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _taken(root: int, file: KeptFile, stack: ExitStack) -> int | None:
    """Lock a file that is to go; returns its folder, or None if it must not."""
    *folders, name = file.parts
    place = root
    for each in folders:
        place = stack.enter_context(_Inside(place, each))
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, os.O_RDWR | flags, dir_fd=place)
    except PermissionError:
        descriptor = os.open(name, os.O_RDONLY | flags, dir_fd=place)
    except FileNotFoundError:
        return None
    stack.callback(os.close, descriptor)
    now = os.fstat(descriptor)
    same = os.path.samestat(now, file.status) and now.st_mtime_ns == file.status.st_mtime_ns
    return place if same and lock_to_delete(descriptor) else None


def _remove_folder(root: int, parts: tuple[str, ...]) -> bool:
    """Remove a folder below the root if it is empty; returns whether it went."""
    *folders, name = parts
    try:
        with ExitStack() as stack:
            place = root
            for each in folders:
                place = stack.enter_context(_Inside(place, each))
            os.rmdir(name, dir_fd=place)
    except OSError:
        return False
    return True
