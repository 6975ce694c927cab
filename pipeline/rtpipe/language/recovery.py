"""What can be read of a text with a syntax error: all but the item, or the key, it stands in.

Whoever reads on must not believe what is left to be the whole: `Findings.lost` says which keys of
the file are not, and `Findings.drop_doubtful` drops what might come of that alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe.wording.diagnostics import split_lines

if TYPE_CHECKING:
    from rtpipe.wording.diagnostics import Diagnostic

MOST_ERRORS = 8
"""So many syntax errors are looked for in one text."""
_LONGEST = 64 * 1024
_RECOVERED = {"E006", "E007", "E009", "E010", "E012", "E014", "E016"}
_ANCHOR = re.compile(r"(^|[\s\[{,])&\w")


@dataclass(frozen=True, slots=True)
class Remainder:
    """A text without a part of it, line by line where it was, and the key the part belonged to."""

    text: str
    key: str


def without(text: str, mistake: Diagnostic) -> Remainder | None:
    """Return the text without the item of a list, or the top-level key, that holds a mistake.

    None where it cannot be told apart from the rest.
    """
    if mistake.span is None or mistake.code not in _RECOVERED or len(text) > _LONGEST:
        return None
    lines = split_lines(text)
    line = mistake.span.line - 1
    if line >= len(lines) or not lines[line].strip():
        return None
    top = _top(lines, line)
    start = _item(lines, line, top)
    end = _end(lines, start)
    if any(_ANCHOR.search(each) for each in lines[start:end]):
        return None  # an alias elsewhere may stand for something in it
    lines[start:end] = [""] * (end - start)
    return Remainder("\n".join(lines), lines_key(split_lines(text)[top]))


def lines_key(line: str) -> str:
    """Return the key that a line begins with; "" if it begins with none."""
    return line.partition(":")[0].strip() if ":" in line else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _is_item(line: str) -> bool:
    return line.lstrip(" ").startswith("-")


def _top(lines: list[str], line: int) -> int:
    """Return the line of the top-level key that a line belongs to."""
    while line > 0 and (_is_blank(lines[line]) or _indent(lines[line]) or _is_item(lines[line])):
        line -= 1
    return line


def _item(lines: list[str], line: int, top: int) -> int:
    """Return where the outermost item begins that a line belongs to; `top` if it is in none."""
    found = top
    depth = _indent(lines[line]) + 1
    while line > top:
        indent = _indent(lines[line])
        if not _is_blank(lines[line]) and indent < depth:
            depth = indent
            if _is_item(lines[line]):
                found = line
        line -= 1
    return found


def _end(lines: list[str], start: int) -> int:
    """Return the line after the item or the key that begins at `start`."""
    indent = _indent(lines[start])
    end = start + 1
    while end < len(lines):
        line = lines[end]
        inside = _indent(line) > indent or (_is_item(line) and not _is_item(lines[start]))
        if not _is_blank(line) and not inside:
            break
        end += 1
    return end
