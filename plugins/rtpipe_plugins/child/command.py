"""A command in a pipeline file: a list of words, or a text that is split as a shell would."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator

from rtpipe import Finding, Remedy
from rtpipe.examination import missing_command

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHELL = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1", "&>"})
"""Words that mean something to a shell and to hardly any program."""


def _not_empty(command: str | tuple[str, ...]) -> str | tuple[str, ...]:
    words = words_of(command)
    if not words or not words[0]:
        raise ValueError("the command is empty")
    return command


Command: TypeAlias = Annotated[str | tuple[str, ...], AfterValidator(_not_empty)]


def words_of(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the program and its arguments."""
    return tuple(shlex.split(command)) if isinstance(command, str) else command


def examine_command(command: str | tuple[str, ...], option: str) -> Iterator[Finding]:
    """Yield what is wrong with a command: no such program, or words for a shell."""
    words = words_of(command)
    yield from missing_command(words[0], option)
    meant = [word for word in words[1:] if word in _SHELL]
    if meant and isinstance(command, str):
        message = f"no shell stands between: `{meant[0]}` is given to {words[0]} as it is"
        by_shell = json.dumps(f"sh -c {shlex.quote(command)}", ensure_ascii=False)
        yield Finding("odd", message, option, Remedy("for a shell, write `{}`", by_shell))
