"""What the commands of the surface say alike: times, lists, safe text. For them alone."""

from __future__ import annotations

import json
import logging
import os
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

import click

from rtpipe.errors import on_one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_COLUMNS = 100
_HEAD = 30
"""Columns for the first column of a list."""


def width() -> int:
    """Return how many columns a line may take."""
    return min(shutil.get_terminal_size().columns, _MOST_COLUMNS)


def clock(seconds: float) -> str:
    """Return how long something lasts: `0:05`, `12:04`, `1:02:03`, `3 d 01:02`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def condition(run: dict[str, Any]) -> str:
    """Return on one line which run a snapshot is of, and what it is doing."""
    now = run.get("now")
    up = clock(now) if isinstance(now, (int, float)) else "?"
    told = safe((run.get("condition") or {}).get("text", ""))
    return f"{safe(run.get('run'))}, {safe(run.get('state'))} for {up}. {told}".rstrip()


def styled(text: str, **style: Any) -> str:
    """Return `text` in colour, unless `NO_COLOR` is set; without a terminal click takes it off."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def say(text: str) -> None:
    """Print something for a person on stderr, unless there is `-q`."""
    if logging.getLogger("rtpipe").isEnabledFor(logging.INFO):
        click.echo(printable(text), err=True)


def is_verbose() -> bool:
    """Return whether there is `-v`."""
    return logging.getLogger("rtpipe").isEnabledFor(logging.DEBUG)


def print_json(value: Any) -> None:
    """Print a value as JSON, over several lines."""
    click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False)))


def safe(value: Any, longest: int | None = 300) -> str:
    """Return what a server says, on one line and without control characters."""
    return on_one_line(f"{value}", longest)


def hung(head: str, text: str, indent: int) -> str:
    """Return `text` behind `head`, broken at the terminal's width, its lines under one another."""
    filled = textwrap.fill(
        text,
        max(width(), indent + 20),
        initial_indent=head,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    return filled or head.rstrip()


def listed(rows: Iterable[tuple[str, str]], head: int) -> list[str]:
    """Return rows of a name and a text as lines, the texts in a column of their own.

    Args:
        rows: The rows.
        head: Columns for the names; the text of a longer one begins below it.
    """
    lines = []
    for name, text in rows:
        first = f"  {name:{head}}  "
        if len(name) > head and text:
            lines.append(f"  {name}")
            first = " " * (head + 4)
        lines.append(hung(first, text, head + 4))
    return lines


def head_columns(names: Iterable[str]) -> int:
    """Return how wide a column for `names` is."""
    return min(max(map(len, names), default=0), _HEAD)
