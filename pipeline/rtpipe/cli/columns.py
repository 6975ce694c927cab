"""Text by the columns that a terminal gives it: two for a wide character, none for a mark."""

from __future__ import annotations

import unicodedata

_NO_COLUMN = {"Mn", "Me", "Cf"}
"""Marks that stand on the character before, and what only formats."""


def columns(text: str) -> int:
    """Return how many columns `text` takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def clipped(text: str, width: int) -> str:
    """Return as much of the beginning of `text` as fits into `width` columns."""
    if columns(text) <= width:
        return text
    used = 0
    for at, character in enumerate(text):
        used += _columns_of(character)
        if used > width:
            return text[:at]
    return text


def padded(text: str, width: int) -> str:
    """Return `text` with spaces before it, so that it takes `width` columns; a longer one as is."""
    return " " * (width - columns(text)) + text


def wrapped(text: str, width: int) -> list[str]:
    """Return `text` as lines of at most `width` columns, broken at spaces where there are any.

    Args:
        text: One line; runs of white space count as one space.
        width: At least 2, which a wide character takes.
    """
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if columns(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        rest = word
        while columns(rest) > width:
            part = clipped(rest, width)
            lines[-1:] = [part, ""]
            rest = rest[len(part) :]
        lines[-1] = rest
    return lines


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in _NO_COLUMN:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
