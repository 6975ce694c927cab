"""Styled text counted in terminal cells: a wide character takes two of them, a mark none."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len

from rtpipe.errors import on_one_line

_WIDTHS_DIFFER = {"\ufe0e", "\ufe0f"}
"""Variation selectors: terminals do not agree how wide the character before them becomes."""
_ASCII = str.maketrans(
    {
        **dict.fromkeys("█▇▆▅▄▃▌", "#"),
        **dict.fromkeys("▂▁·", "."),
        **dict.fromkeys("─▔", "-"),
        **dict.fromkeys("│┊", "|"),
        **dict.fromkeys("╱", "/"),
        **dict.fromkeys("▒", "="),
        **dict.fromkeys("░", ":"),
        **dict.fromkeys("▪", "."),
        **dict.fromkeys("✕╳×", "x"),
        **dict.fromkeys("●", "o"),
        **dict.fromkeys("−–", "-"),
        "…": "~",
        "┤": "[",
        "├": "]",
        "└": "`",
        "↑": "^",
        "↓": "v",
        "⇄": "%",
    }
)


class Span(NamedTuple):
    """A piece of a line.

    Attributes:
        text: What is written, on one line and without control characters.
        style: Words out of `STYLES`, with blanks between; "" for the terminal's own.
    """

    text: str
    style: str = ""


Line = tuple[Span, ...]

STYLES = ("dim", "bold", "reverse", "visitor", "model", "fault")


def clean(text: object) -> str:
    """Return foreign text as it may be written: one line, nothing that steers a terminal."""
    return _cleaned(f"{text}")


@lru_cache(maxsize=4096)
def _cleaned(text: str) -> str:
    return "".join(
        each
        for each in on_one_line(text)
        if unicodedata.category(each) != "Cf" and each not in _WIDTHS_DIFFER
    )


def width_of(line: Line) -> int:
    """Return how many cells a line takes."""
    return sum(cell_len(span.text) for span in line)


def cut(text: str, width: int) -> str:
    """Return `text`, ended by `…` where it takes more than `width` cells."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    taken, kept = 1, []
    for each in text:
        taken += cell_len(each)
        if taken > width:
            break
        kept.append(each)
    return "".join(kept).rstrip() + "…"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return `text` in exactly `width` cells."""
    text = cut(text, width)
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank


def clip(line: Line, width: int) -> Line:
    """Return a line that takes `width` cells at most."""
    if width_of(line) <= width:
        return line
    spans, left = [], width
    for text, style in line:
        size = cell_len(text)
        if size > left:
            spans.append(Span(cut(text, left), style))
            break
        spans.append(Span(text, style))
        left -= size
    return tuple(spans)


def apart(left: Line, right: Line, width: int) -> Line:
    """Return `left`, and `right` at the right edge; `left` is cut where both do not fit."""
    room = width - width_of(right)
    left = clip(left, max(0, room - 1))
    return (*left, Span(" " * max(0, room - width_of(left))), *right)


def wrapped(text: str, width: int) -> list[str]:
    """Return `text` in rows of at most `width` cells, between words where that can be."""
    rows: list[str] = []
    row = ""
    for word in text.split():
        if cell_len(row) + cell_len(word) + bool(row) <= width:
            row = f"{row} {word}" if row else word
            continue
        if row:
            rows.append(row)
        row = ""
        for each in word:
            if cell_len(row) + cell_len(each) > width and row:
                rows.append(row)
                row = ""
            row += each
    return [*rows, row] if row or not rows else rows


def dimmed(line: Line) -> Line:
    """Return a line that is grey all over."""
    return tuple(Span(span.text, "dim") for span in line)


def in_ascii(line: Line) -> Line:
    """Return a line of as many cells without a character that is not ASCII."""
    return tuple(Span(_in_ascii(span.text), span.style) for span in line)


def _in_ascii(text: str) -> str:
    text = text.translate(_ASCII)
    if text.isascii():
        return text
    return "".join(_one_in_ascii(each) for each in text)


def _one_in_ascii(each: str) -> str:
    if each.isascii():
        return each
    plain = unicodedata.normalize("NFKD", each)[0]
    wide = cell_len(each)
    return plain if wide == 1 and plain.isascii() and plain.isprintable() else "?" * wide
