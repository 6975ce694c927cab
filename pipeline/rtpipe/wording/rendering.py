"""Diagnostics as text for a terminal, as JSON, and as GitHub annotations."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe.errors import printable
from rtpipe.wording.diagnostics import Diagnostic, Severity, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.wording.diagnostics import Span

MOST_SHOWN = 20
_WIDEST = 160
_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m"}


def render(diagnostics: Sequence[Diagnostic], *, colour: bool = False) -> str:
    """Return diagnostics as text, sorted by place, at most 20 of them.

    Args:
        diagnostics: What was found.
        colour: Whether to colour it with ANSI escapes.
    """
    ordered = in_order(diagnostics)
    parts = [render_one(found, colour=colour) for found in ordered[:MOST_SHOWN]]
    if len(ordered) > MOST_SHOWN:
        parts.append(f"… and {len(ordered) - MOST_SHOWN} more")
    return "\n\n".join(parts)


def tally(diagnostics: Sequence[Diagnostic]) -> str:
    """Return how many there are: `2 errors, 1 warning`."""
    counts = Counter(found.severity for found in diagnostics)
    texts = [
        f"{count} {severity}{'s' * (count != 1)}"
        for severity in Severity
        if (count := counts[severity])
    ]
    return ", ".join(texts) or "no problems"


def render_one(found: Diagnostic, *, colour: bool = False) -> str:
    """Return one diagnostic as text, without a newline at its end."""
    paint = _Paint(found.severity, on=colour)
    lines = [
        paint.strong(f"{found.severity}[{found.code}]")
        + paint.bold(f": {printable(found.message)}")
    ]
    width = 1
    if found.span is not None:
        width, excerpt = _excerpt(found, found.span, paint)
        lines += excerpt
    trailer = [("help", found.help)] if found.help else []
    for word, text in [*trailer, *(("note", note) for note in found.notes)]:
        first, *more = printable(text).split("\n")
        lines.append(f"{' ' * width} {paint.rule('=')} {paint.bold(word)}: {first}")
        lines += [f"{' ' * width}   {line}" for line in more]
    return "\n".join(lines)


def as_github(found: Diagnostic) -> str:
    """Return a diagnostic as a GitHub workflow command, shown beside the line in a review."""
    text = printable("\n".join(filter(None, [found.message, found.help, *found.notes])))
    place = ""
    if found.span is not None:
        span = found.span
        place = (
            f"file={_property(shown(span.path))},line={span.line},col={span.column},"
            f"endColumn={span.column + span.length},"
        )
    return f"::{found.severity} {place}title={found.code}::{_data(text)}"


def shown(path: Path) -> str:
    """Return a path as a person knows it: from the current folder if it lies below."""
    try:
        known = path.absolute().relative_to(Path.cwd())
    except (ValueError, OSError):
        known = path
    return printable(str(known))


class _Paint:
    def __init__(self, severity: Severity, *, on: bool) -> None:
        self._severity = severity
        self._on = on

    def strong(self, text: str) -> str:
        return self._in(_COLOURS[self._severity], text)

    def bold(self, text: str) -> str:
        return self._in(_BOLD, text)

    def rule(self, text: str) -> str:
        return self._in(_BLUE, text)

    def _in(self, escape: str, text: str) -> str:
        return f"{escape}{text}{_RESET}" if self._on else text


def _excerpt(found: Diagnostic, span: Span, paint: _Paint) -> tuple[int, list[str]]:
    """Return the gutter's width, and the quoted lines with their carets."""
    marks = [(span, found.source, found.label, "^")]
    marks += [(other.span, other.source, other.label, "-") for other in found.related]
    marks.sort(key=lambda mark: (mark[0].path != span.path, mark[0]))
    width = max(len(str(mark[0].line)) for mark in marks)
    margin = f"{' ' * width} {paint.rule('|')}"
    lines = [f"{' ' * width}{paint.rule('-->')} {shown(span.path)}:{span.line}:{span.column}"]
    path, line = span.path, 0
    if any(source for _, source, _, _ in marks):
        lines.append(margin)
    for where, source, label, sign in marks:
        if where.path != path:
            path, line = where.path, 0
            lines.append(f"{' ' * width}{paint.rule(':::')} {shown(path)}:{where.line}")
            lines.append(margin)
        if not source:
            continue
        text, before, length = _window(source, where)
        if where.line != line:
            line = where.line
            lines.append(f"{paint.rule(str(line).rjust(width) + ' |')} {text}".rstrip())
        caret = f"{sign * length} {printable(label)}".rstrip()
        lines.append(f"{margin} {' ' * before}{paint.strong(caret)}")
    if any(source for _, source, _, _ in marks):
        lines.append(margin)
    return width, lines


def _window(source: str, span: Span) -> tuple[str, int, int]:
    """Return the line made fit for a terminal, the columns before the caret, and its width."""
    start = min(span.column - 1, len(source))
    end = min(start + span.length, max(len(source), start + 1))
    first = 0
    if len(source) > _WIDEST:
        first = max(0, start - _WIDEST // 2)
    last = first + _WIDEST
    head = "…" if first > 0 else ""
    tail = "…" if last < len(source) else ""
    text = head + _printable(source[first:last]) + tail
    before = len(head) + _columns(source[first:start])
    width = _columns(source[start : min(end, last)]) or 1
    return text, before, width


def _printable(text: str) -> str:
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char == "\t":
        return " "
    return char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
