"""What a stage finds when it examines itself or is probed, and what it can be tested with.

`Stage.examine` and `Stage.probe` give these; `rtpipe validate` and `rtpipe doctor` print them.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.stage import Options, Stage

__all__ = ["missing_command", "missing_file", "missing_folder", "missing_modules"]
"""Beside what `rtpipe` offers of it."""
__provisional__ = frozenset({"missing_modules"})
"""What may still change at any time."""

_MOST_NAMES = 1000
_MOST_NEAR = 10
_PLAIN = re.compile(r"[\w.+-]+")
"""A name that may stand in YAML as it is, quoted or not."""

Status: TypeAlias = Literal["wrong", "odd", "missing", "ok", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What an examination or a probe has shown.

    Attributes:
        status: `wrong`: the file, or what it ships, is; an error. `odd`: it can be so, but is
            hardly meant; a warning. `missing`: this machine lacks something; a warning. `ok`, and
            `unknown` where it could not be told: for the doctor.
        message: What was seen, in one sentence without a full stop.
        option: Which option it is about: `path`, `tools.0.command`. "": none, it is the machine.
        help: What to do about it; a `Remedy` says what to write in place of the option's value.
        name: What the doctor calls what was looked at; "": the option, or the kind.
        needed: Whether the stage cannot open without it, so that a `fallback:` would take over.
        slip: The part of the option's value that is misspelt.
        meant: What is probably meant by it.
        above: A kind that is to stand above it, and would mend that.
    """

    status: Status
    message: str
    option: str = ""
    help: str | None = None
    name: str = ""
    needed: bool = True
    slip: str = ""
    meant: str = ""
    above: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a stage has around it in its pipeline.

    Attributes:
        before: The stages whose audio reaches it by their ids, nearest first: each a type and
            those of its fallbacks.
        called: Its actions that routes of the file call.
    """

    before: Mapping[str, tuple[type[Stage[Any]], ...]]
    called: frozenset[str]


@dataclass(frozen=True, slots=True)
class OptionModel:
    """An option that is a plain mapping to the stage, and to be checked by a model found late.

    For what belongs to a library that may be absent. A mistake in it is told as one in any option.

    Attributes:
        option: Which option.
        model: What it must be.
    """

    option: str
    model: type[Options]


@dataclass(frozen=True, slots=True)
class Ineffective:
    """An option that is written and does nothing beside what the others say: an error.

    Nothing is said where the option may have its day: where a variable, another file or a profile
    gives what decides.

    Attributes:
        option: Which option.
        message: Why, in one sentence without a full stop.
        beside: The options that decide it, written or left out.
        instead: What else could be done than leaving it out: "say `transport: webrtc`".
    """

    option: str
    message: str
    beside: tuple[str, ...]
    instead: str = ""


@dataclass(frozen=True, slots=True)
class MachineLook:
    """A look at this machine that takes more than `stat` and `which`: at its devices.

    `rtpipe validate` takes it; `--no-environment` and `rtpipe run` do not, nor does it where a
    `fallback:` takes over.

    Attributes:
        look: Returns what it shows, within a few seconds.
    """

    look: Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Specimen:
    """Options with which a stage can be opened again and again, and how it is to be judged.

    `Stage.specimens` yields them, and what they need (a server, a file) is there until the next
    one is asked for:

    ```python
    @classmethod
    def specimens(cls, folder):
        with server() as port:
            yield Specimen({"port": port}, real_time=True)
    ```

    Attributes:
        options: As in the file, or the options model itself.
        frames: s16 mono 48 kHz frames to use instead of a voice and a pause, 1.4 s together.
        tolerance: The largest difference of a sample (full scale 1.0) that the length of the
            frames may make to what a transform gives out; None where it may change anything.
        real_time: Run on asyncio's own loop: for a device, a server, a subprocess.
        label: What a finding calls it; "": nothing.
    """

    options: Mapping[str, Any] | Options = field(default_factory=dict)
    frames: Sequence[AudioFrame] | None = None
    tolerance: float | None = 2 / 32768
    real_time: bool = False
    label: str = ""


Examined: TypeAlias = Finding | OptionModel | Ineffective | MachineLook


def missing_file(path: Path, option: str, *, status: Status = "wrong") -> Iterator[Finding]:
    """Yield what is wrong with a file that is to be read: not there, a folder, not readable.

    Args:
        path: The file.
        option: Which option names it.
        status: `missing` for what does not come with the pipeline file but with the machine.
    """
    if not path.exists():
        help = "paths in a pipeline file are relative to that file"
        missing = f"there is no file {path}"
        yield Finding(status, missing, option, help, slip=path.name, meant=_namesake(path))
    elif path.is_dir():
        yield Finding(status, f"{path} is a folder, not a file", option)
    elif not os.access(path, os.R_OK):
        yield Finding("missing", f"may not read {path}", option)


def _namesake(path: Path) -> str:
    """Return the name of the file beside it that has nearly the same, or "".

    Endings that are the same make no two names alike.
    """
    try:
        with os.scandir(path.parent) as entries:
            names = [each.name for each in islice(entries, _MOST_NAMES) if each.is_file()]
    except OSError:
        return ""
    near = (
        name
        for name in get_close_matches(path.name, filter(_PLAIN.fullmatch, names), _MOST_NEAR)
        if get_close_matches(path.stem, [Path(name).stem])
    )
    return next(near, "")


def missing_folder(path: Path, option: str) -> Iterator[Finding]:
    """Yield what is wrong with a folder that is to be read: not there, or a file."""
    if path.exists() and not path.is_dir():
        yield Finding("wrong", f"{path} is a file, not a folder", option)
    elif not path.exists():
        help = "paths in a pipeline file are relative to that file"
        yield Finding("wrong", f"there is no folder {path}", option, help)


def missing_command(program: str, option: str, *, needed: bool = True) -> Iterator[Finding]:
    """Yield what is wrong with a program that is to be run: none of this name can be run.

    Args:
        program: A name on the PATH, or a path from the current folder.
        option: Which option names it.
        needed: As `Finding.needed`.
    """
    if shutil.which(program) is not None:
        return
    if os.path.isfile(program):  # noqa: PTH113 - that of Path raises for a name too long
        message, help = f"{program!r} may not be run", f"chmod +x {program}"
    elif os.sep in program:
        message = f"there is no command {program!r}"
        help = "a command's path starts from the current folder; no shell stands between"
    else:
        message = f"there is no command {program!r}"
        help = "install it, or name a program on the PATH; no shell stands between"
    yield Finding("missing", message, option, help, needed=needed)


def missing_modules(modules: Iterable[str]) -> list[str]:
    """Return those of some top-level modules that are not installed; imports none of them."""
    return [name for name in modules if find_spec(name) is None]
