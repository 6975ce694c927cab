"""What stands at a place of a text, found by its lines: a text in writing is seldom YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFERENCE = re.compile(r"\$\{([^${}]*)$")
_WHOLE_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_NAMES = re.compile(r"(?:^|[\s{,-])(from|do|match):\s*(?:\[(?:[^\]]*,)?\s*)?([\"']?)([\w.*-]*)$")
_LISTED = re.compile(r"^\s*-\s*([\"']?)([\w.*-]*)$")
_KEY = re.compile(r"^(\s*(?:-\s+)*)([A-Za-z_][\w-]*)\s*:")
_ROOM = re.compile(r"(?:^|[\s{,-])([A-Za-z_]\w*):\s*\{([^{}]*)$")
_WORD = re.compile(r"[\w.*-]+")
_KEYS = frozenset({"from", "do", "match"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a place asks for.

    Attributes:
        sort: `reference`: within `${…}`; `from`, `do` or `match`: a value of that key; `options`:
            room for an option of the kind `above`; "": nothing that is known here.
        word: What stands there already: before the place, or around it for a hover.
        start: Where the word begins, in characters of the line.
        section: The key at the top of the file that it stands under, or of a profile.
        above: The kind whose options it stands among.
        beside: Keys that stand there already.
    """

    sort: str = ""
    word: str = ""
    start: int = 0
    section: str = ""
    above: str = ""
    beside: frozenset[str] = frozenset()


def before(lines: Sequence[str], line: int, at: int) -> Cursor:
    """Return what may be written at a place, both counted from 0."""
    text = lines[line][:at]
    section = _section(lines, line)
    found = _REFERENCE.search(text)
    if found is not None:
        return Cursor("reference", found[1], found.start(1), section)
    if _is_comment(text):
        return Cursor()
    found = _NAMES.search(text)
    if found is not None:
        return Cursor(found[1], found[3], found.start(3), section)
    found = _LISTED.match(text)
    if found is not None and (key := _holder(lines, line)) in _KEYS:
        return Cursor(key, found[2], found.start(2), section)
    found = _ROOM.search(text)
    if found is not None and (not found[2].strip() or found[2].rstrip().endswith(",")):
        beside = frozenset(re.findall(r"([A-Za-z_]\w*)\s*:", found[2]))
        return Cursor("options", "", at, section, found[1], beside)
    return Cursor()


def around(lines: Sequence[str], line: int, at: int) -> tuple[Cursor, int]:
    """Return what a hover is about, and where its word ends."""
    text = lines[line]
    for found in _WHOLE_REFERENCE.finditer(text):
        if found.start() <= at <= found.end():
            section = _section(lines, line)
            return Cursor("reference", found[1], found.start(1), section), found.end(1)
    for found in _WORD.finditer(text):
        if found.start() <= at <= found.end():
            cursor = before(lines, line, found.end())
            if cursor.sort in _KEYS:
                return cursor, found.end()
    return Cursor(), at


def _is_comment(text: str) -> bool:
    return re.search(r"(?:^|\s)#", text) is not None


def _holder(lines: Sequence[str], line: int) -> str:
    """Return the key that a list's item in block style stands under."""
    indent = _indent(lines[line])
    for text in reversed(lines[:line]):
        found = _KEY.match(text)
        if found is not None and len(found[1]) <= indent:
            return found[2]
        if text.strip() and _indent(text) < indent:
            return ""
    return ""


def _section(lines: Sequence[str], line: int) -> str:
    """Return the key at the top that a line is under; `stages` or `events` wherever it stands."""
    below = _indent(lines[line]) + 1
    for text in reversed(lines[: line + 1]):
        found = _KEY.match(text)
        if found is None or len(found[1]) >= below:
            continue
        below = len(found[1])
        if below == 0 or found[2] in {"stages", "events"}:
            return found[2]
    return ""


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))
