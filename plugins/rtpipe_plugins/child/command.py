"""A command in a pipeline file: a list of words, or a text that is split as a shell would."""

from __future__ import annotations

import shlex
from typing import Annotated, TypeAlias

from pydantic import AfterValidator


def _not_empty(command: str | tuple[str, ...]) -> str | tuple[str, ...]:
    words = words_of(command)
    if not words or not words[0]:
        raise ValueError("the command is empty")
    return command


Command: TypeAlias = Annotated[str | tuple[str, ...], AfterValidator(_not_empty)]


def words_of(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the program and its arguments."""
    return tuple(shlex.split(command)) if isinstance(command, str) else command
