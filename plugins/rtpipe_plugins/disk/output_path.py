"""Where output files go: names with dates in them, and the promise not to overwrite."""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BeforeValidator

from rtpipe import (
    EnvironmentProblem,
    ExitCode,
    Finding,
    OutputPath,
    StageError,
    local_time,
    reason_of,
)
from rtpipe.clock import wall_clock_problem
from rtpipe_plugins.disk.locks import is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from rtpipe import StageContext


_FIELD = re.compile(r"%[-_0^#]?[A-Za-z]")
_FIELDS = re.compile(rf"%%|{_FIELD.pattern}(?:[-_.:T ]?{_FIELD.pattern})*")
"""A percent sign, or fields that follow each other with no more than a mark between them."""
_TIMES = set("HIMSfTXcsRr")
_UNDATED = r"unset-[0-9a-f]{1,8}(?:-\d{6,})?"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


class StartTime:
    """The local date and time at which a pipeline started, on a clock that may be set only later.

    Args:
        ctx: Of a stage of it.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._now_s = ctx.now()
        self._monotonic_s = time.monotonic()
        self._at: datetime | None = None
        if not wall_clock_problem():
            self._at = local_time() - timedelta(seconds=self._now_s)

    def plus(self, seconds: float) -> datetime | None:
        """Return when the pipeline was `seconds` old; None while the machine's clock is not set."""
        if self._at is None and not wall_clock_problem():
            ago_s = self._now_s + time.monotonic() - self._monotonic_s
            self._at = local_time() - timedelta(seconds=ago_s)
        return None if self._at is None else self._at + timedelta(seconds=seconds)


def dated(path: Path, at: datetime | None) -> Path:
    """Return `path` with its strftime fields filled in; a field never makes or leaves a folder.

    Without a date, `unset` and what tells this start of the machine from others stand for the
    fields, and for a time of day the seconds since that start: a name that no other start makes.
    """
    return Path(*(part if part == path.anchor else _filled(part, at) for part in path.parts))


def _filled(part: str, at: datetime | None) -> str:
    if "%" not in part:
        return part
    if at is None:
        return _FIELDS.sub(_undated, part).replace("%%", "%")
    name = at.strftime(part).replace("/", "-")  # %D has slashes
    return "-" if name in {"", ".", ".."} else name


def undated_pattern(part: str) -> str:
    """Return a regular expression for what `dated` makes of a part of a path without a date."""
    pieces, end = [], 0
    for fields in _FIELDS.finditer(part):
        pieces += [re.escape(part[end : fields.start()]), "%" if fields[0] == "%%" else _UNDATED]
        end = fields.end()
    return "".join((*pieces, re.escape(part[end:])))


def _undated(fields: re.Match[str]) -> str:
    if fields.group() == "%%":
        return "%%"
    name = f"unset-{_this_start()}"
    if not _TIMES & {field[-1] for field in _FIELD.findall(fields.group())}:
        return name
    return f"{name}-{time.clock_gettime(time.CLOCK_BOOTTIME):06.0f}"


def _this_start() -> str:
    """Return what the kernel made up when the machine was started."""
    try:
        return _BOOT_ID.read_text("ascii")[:8]
    except OSError:
        return "0"


def reserve(path: Path, *, overwrite: bool) -> Path:
    """Make the folders of `path` and make sure that a file can be written there.

    Returns:
        The path; of a symbolic link, what it leads to.

    Raises:
        StageError: The file exists and must not be overwritten, is being read or written, or a link
            leads nowhere.
        EnvironmentProblem: The folder cannot be written to; its cause is the `OSError`.
    """
    if path.exists() and not overwrite:
        raise StageError(
            f"{path} exists already",
            help="set `overwrite: true`, or put the time into its name: "
            f"`{path.stem}-%Y%m%d-%H%M%S{path.suffix}`",
            exit_code=ExitCode.CONFIGURATION,
        )
    check_not_held(path)
    if path.is_symlink() and path.is_file():  # /dev/stdout is a link to what has no name
        path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()  # a start that fails elsewhere must not leave an empty file behind
        elif path.is_file() and not os.access(path.parent, os.W_OK):
            raise PermissionError(f"a new file must be written beside it, in {path.parent}")
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def blocked_output(path: Path, option: str = "path", *, keeps: bool = False) -> Iterator[Finding]:
    """Yield what will keep a file from being written, as far as looking shows it.

    Args:
        path: The file, with its strftime fields.
        option: Which option names it.
        keeps: Whether a file that exists is not written to.
    """
    dates = next((n for n, part in enumerate(path.parts) if "%" in part), len(path.parts))
    known = Path(*path.parts[:dates])
    if dates == len(path.parts):
        if path.is_dir():
            yield Finding("wrong", f"{path} is a folder, and a file is to be written", option)
            return
        if keeps and path.is_file():
            help = "set `overwrite: true`, or put the time into its name"
            yield Finding("missing", f"{path} exists already", option, help)
        if path.exists():
            if not os.access(path, os.W_OK):
                yield Finding("missing", f"may not write {path}", option)
            return
        known = path.parent
    above = next((each for each in (known, *known.parents) if each.exists()), None)
    if above is not None and not above.is_dir():
        yield Finding("wrong", f"{above} is a file, and a folder is needed there", option)
    elif above is not None and not os.access(above, os.W_OK | os.X_OK):
        yield Finding("missing", f"may not write in {above}", option)


def check_not_held(path: Path) -> None:
    """Make sure that writing to `path` changes no file of another's.

    Raises:
        StageError: It is being read or written, or is a link that leads nowhere.
    """
    if path.is_symlink() and not path.exists():
        raise StageError(
            f"{path} is a link to {path.readlink()}, which does not exist",
            help="remove the link, or name the file itself",
            exit_code=ExitCode.CONFIGURATION,
        )
    if is_locked(path):
        raise StageError(
            f"{path} is being read or written by another stage or program",
            help="give each a file of its own",
            exit_code=ExitCode.CONFIGURATION,
        )


def unwritable(path: Path, error: OSError) -> EnvironmentProblem:
    """Return what to raise when a file cannot be opened to write."""
    return EnvironmentProblem(
        f"cannot write {path}: {reason_of(error)}",
        exit_code=ExitCode.NO_PERMISSION if isinstance(error, PermissionError) else None,
    )


def free_name(
    path: Path,
    taken: Callable[[Path], bool] = os.path.lexists,
    *,
    suffix: str | None = None,
) -> Path:
    """Return `path`, or the first of `name-2`, `name-3`, … that is not taken.

    Args:
        path: The name.
        taken: Whether a name cannot be had.
        suffix: What follows the number; by default the ending.
    """
    if not taken(path):
        return path
    ending = path.suffix if suffix is None else suffix
    stem = path.name.removesuffix(ending)
    return next(
        candidate
        for number in count(2)
        if not taken(candidate := path.with_name(f"{stem}-{number}{ending}"))
    )
