"""Where output files go: names with dates in them, and the promise not to overwrite."""

from __future__ import annotations

import errno
import fcntl
import os
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BeforeValidator

from rtpipe import EnvironmentProblem, ExitCode, OutputPath, StageError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import StageContext


def _confined(value: object) -> object:
    """Refuse a path that climbs out of a folder it has gone into.

    Before the file's folder is put in front, where `../recordings` is legitimate; a variable in the
    middle of a path must not lead out of what stands before it.
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if any(ord(character) < 32 for character in text):
        raise ValueError("a path has no control characters")
    parts = Path(text).parts
    named = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    if ".." in parts[named:]:
        raise ValueError("`..` may stand at the beginning only: a path must not leave its folder")
    return value


ConfinedPath: TypeAlias = Annotated[OutputPath, BeforeValidator(_confined)]
"""An output path whose inner parts, wherever they come from, cannot lead out of its folder."""


def started_at(ctx: StageContext) -> datetime:
    """Return the local date and time at which the pipeline started."""
    return (datetime.now(UTC) - timedelta(seconds=ctx.now())).astimezone()


def dated(path: Path, at: datetime) -> Path:
    """Return `path` with its strftime fields filled in; a field never makes or leaves a folder."""
    return Path(*(part if part == path.anchor else _filled(part, at) for part in path.parts))


def _filled(part: str, at: datetime) -> str:
    name = at.strftime(part).replace("/", "-") if "%" in part else part  # %D has slashes
    return "-" if name in {"", ".", ".."} and part != name else name


def reserve(path: Path, *, overwrite: bool) -> Path:
    """Make the folders of `path` and make sure that a file can be written there.

    Raises:
        StageError: The file exists and must not be overwritten.
        EnvironmentProblem: The folder cannot be written to; its cause is the `OSError`.
    """
    if path.exists() and not overwrite:
        raise StageError(
            f"{path} exists already",
            help="set `overwrite: true`, or put the time into its name: "
            f"`{path.stem}-%Y%m%d-%H%M%S{path.suffix}`",
            exit_code=ExitCode.CONFIGURATION,
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()  # a start that fails elsewhere must not leave an empty file behind
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def unwritable(path: Path, error: OSError) -> EnvironmentProblem:
    """Return what to raise when a file cannot be opened to write."""
    return EnvironmentProblem(
        f"cannot write {path}: {reason_of(error)}",
        exit_code=ExitCode.NO_PERMISSION if isinstance(error, PermissionError) else None,
    )


def free_name(path: Path, taken: Callable[[Path], bool] = Path.exists) -> Path:
    """Return `path`, or the first of `name-2`, `name-3`, … that is not taken."""
    if not taken(path):
        return path
    return next(
        candidate
        for number in count(2)
        if not taken(candidate := path.with_stem(f"{path.stem}-{number}"))
    )


def claim(path: Path, *, overwrite: bool) -> int | None:
    """Make `path` and lock it: whoever else wants the name, in this process or another, sees it.

    A symbolic link is never followed.

    Returns:
        A file descriptor that holds the claim until it is closed; None if the name is taken.

    Raises:
        OSError: It cannot be made.
    """
    flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags if overwrite else flags | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    if _locked_by_another(descriptor):  # overwriting is one thing, two writers at a time another
        os.close(descriptor)
        return None
    return descriptor


def _locked_by_another(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK  # else no locks on this share: the name must do
    return False
