"""Places in a text: rtpipe counts characters from 1, LSP counts UTF-16 code units from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.wording.diagnostics import Span

_BEYOND_BMP = 0xFFFF


def units(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text) + sum(ord(char) > _BEYOND_BMP for char in text)


def character(line: str, unit: int) -> int:
    """Return how many characters of a line stand before a place in UTF-16 code units."""
    for index, char in enumerate(line):
        unit -= 1 + (ord(char) > _BEYOND_BMP)
        if unit < 0:
            return index
    return len(line)


def place(line: int, text: str, at: int) -> types.Position:
    """Return a place in a line, both counted from 0, in characters."""
    return types.Position(line, units(text[:at]))


def range_of(span: Span, lines: Sequence[str]) -> types.Range:
    """Return where a finding stands; what has no room in the text any more stands at its end."""
    number = min(span.line, len(lines)) - 1
    text = lines[number]
    start = span.column - 1
    return types.Range(place(number, text, start), place(number, text, start + span.length))
