"""Where output files go: names with dates in them, and the promise not to overwrite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, ExitCode, StageError

if TYPE_CHECKING:
    from rtpipe import StageContext


def dated(path: Path, ctx: StageContext) -> Path:
    """Return `path` with its strftime fields filled in by the local time the pipeline started.

    All stages of a pipeline get the same date, however late one of them opens.
    """
    started = datetime.now(UTC) - timedelta(seconds=ctx.now())
    return Path(started.astimezone().strftime(str(path)))


def reserve(path: Path, *, overwrite: bool) -> Path:
    """Make the folders of `path` and make sure that a file can be written there.

    Raises:
        StageError: The file exists and must not be overwritten.
        EnvironmentProblem: The folder cannot be written to.
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
        refused = isinstance(error, PermissionError)
        raise EnvironmentProblem(
            f"cannot write {path}: {error.strerror}",
            exit_code=ExitCode.NO_PERMISSION if refused else None,
        ) from None
    return path


def free_name(path: Path) -> Path:
    """Return `path`, or the first of `name-2`, `name-3`, … that does not exist."""
    if not path.exists():
        return path
    return next(
        candidate
        for number in count(2)
        if not (candidate := path.with_stem(f"{path.stem}-{number}")).exists()
    )
