"""What a stage finds when it examines itself or is probed, and what most stages look for.

`Stage.examine` and `Stage.probe` give these; `rtpipe validate` and `rtpipe doctor` print them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rtpipe.stage import Options, Stage

Status: TypeAlias = Literal["wrong", "odd", "missing", "ok", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What an examination or a probe has shown.

    Attributes:
        status: `wrong`: the file, or what it ships, is; an error. `missing`: this machine lacks
            something; a warning. `odd`: the file is, but it would run; a warning, of
            `examine_surroundings` alone. `ok`, and `unknown` where it could not be told: for the
            doctor.
        message: What was seen, in one sentence without a full stop.
        option: Which option it is about: `path`, `tools.0.command`. "": none, it is the machine.
        help: What to do about it; a `Remedy` says what to write in place of the option's value.
        name: What the doctor calls what was looked at; "": the option, or the kind.
        needed: Whether the stage cannot open without it, so that a `fallback:` would take over.
        above: A kind that is to stand above it, and would mend that.
    """

    status: Status
    message: str
    option: str = ""
    help: str | None = None
    name: str = ""
    needed: bool = True
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


Examined: TypeAlias = Finding | OptionModel


def missing_file(path: Path, option: str, *, status: Status = "wrong") -> Iterator[Finding]:
    """Yield what is wrong with a file that is to be read: not there, a folder, not readable.

    Args:
        path: The file.
        option: Which option names it.
        status: `missing` for what does not come with the pipeline file but with the machine.
    """
    if not path.exists():
        help = "paths in a pipeline file are relative to that file"
        yield Finding(status, f"there is no file {path}", option, help)
    elif path.is_dir():
        yield Finding(status, f"{path} is a folder, not a file", option)
    elif not os.access(path, os.R_OK):
        yield Finding("missing", f"may not read {path}", option)


def missing_command(program: str, option: str, *, needed: bool = True) -> Iterator[Finding]:
    """Yield what is wrong with a program that is to be run: none of this name is on the PATH."""
    if shutil.which(program) is None:
        help = "install it, or name a program on the PATH; no shell stands between"
        yield Finding("missing", f"there is no command {program!r}", option, help, needed=needed)


def missing_modules(modules: Iterable[str]) -> list[str]:
    """Return those of some top-level modules that are not installed; imports none of them."""
    return [name for name in modules if find_spec(name) is None]
