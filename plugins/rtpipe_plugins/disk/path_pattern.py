"""Which files a `path:` with strftime fields can have written, told from their names."""

from __future__ import annotations

import calendar
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from rtpipe_plugins.disk.output_path import undated_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DIGITS = {
    "Y": r"\d{4}",
    "y": r"\d\d",
    "C": r"\d\d",
    "G": r"\d{4}",
    "m": r"0[1-9]|1[0-2]",
    "d": r"0[1-9]|[12]\d|3[01]",
    "j": r"00[1-9]|0[1-9]\d|[12]\d\d|3[0-5]\d|36[0-6]",
    "H": r"[01]\d|2[0-3]",
    "I": r"0[1-9]|1[0-2]",
    "M": r"[0-5]\d",
    "S": r"[0-5]\d",
    "f": r"\d{6}",
    "U": r"[0-4]\d|5[0-3]",
    "W": r"[0-4]\d|5[0-3]",
    "V": r"0[1-9]|[1-4]\d|5[0-3]",
    "u": r"[1-7]",
    "w": r"[0-6]",
    "s": r"\d{1,11}",
    "z": r"[+-]\d{4}",
}
_SHORT_FOR = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m-%d-%y", "h": "%b"}
_READ_BACK = frozenset("YymdjHIMSfaAbBp")
"""What `strptime` reads without surprises."""
_FIELD = re.compile(r"%(.?)", re.DOTALL)

EVENTS, TURNS = ".events.jsonl", ".turns"
"""What follows the name of a recording in that of its sidecar, and of its folder of clips."""
NUMBER = r"(?:[2-9]|[1-9]\d+)"
"""What `free_name` puts behind a name that was taken."""
_PART = rf"\.part(?:-{NUMBER})?"
_CLIP = rf"\d{{3,}}-(?:user|assistant)(?:-{NUMBER})?(?:{_PART})?"


@dataclass(frozen=True, slots=True)
class Companions:
    """What a stage writes beside, or instead of, the file that its path names.

    Attributes:
        counted: Whether a name that is taken is followed by `name-2`, `name-3`, …
        aside: Whether a file may be `NAME.part.EXT` until it is complete, or for ever after a kill.
        sidecar: The ending of a file beside it; "": none.
        folder: The ending of a folder of clips beside it; "": none.
    """

    counted: bool = False
    aside: bool = False
    sidecar: str = ""
    folder: str = ""


class PathPattern:
    """The files that a path with strftime fields can have made, and no other.

    Args:
        template: The path; absolute.
        companions: What comes beside it.

    Attributes:
        root: The deepest folder whose name is known; a symbolic link to it may be followed.
        folders: How the folders below it are called, outermost first.
        unreadable: The first field that cannot be read back, as `%c`; "": none.
    """

    def __init__(self, template: Path, companions: Companions | None = None) -> None:
        self.companions = beside = companions or Companions()
        self.template = template
        *folders, _ = template.parts
        known = next((n for n, part in enumerate(folders) if "%" in part), len(folders))
        self.root = type(template)(*folders[:known])
        self.unreadable = next(_unreadable(template), "")
        self.folders: tuple[re.Pattern[str], ...] = ()
        if self.unreadable:
            return
        self.folders = tuple(re.compile(_pattern(part, "f"), re.ASCII) for part in folders[known:])
        suffix = _pattern(template.suffix, "e")
        stem = _pattern(template.name.removesuffix(template.suffix), "s")
        number = rf"(?:-{NUMBER})?" if beside.counted else ""
        endings = [f"(?:{_PART})?{suffix}" if beside.aside else suffix]
        if beside.sidecar:
            endings.append(f"(?:{_PART})?{re.escape(beside.sidecar)}")
        self._file = re.compile(f"(?P<stem>{stem}{number})(?:{'|'.join(endings)})", re.ASCII)
        self._clips = re.compile(f"(?P<stem>{stem}{number}){re.escape(beside.folder)}", re.ASCII)
        self._clip = re.compile(_CLIP + suffix, re.ASCII)

    @property
    def varies(self) -> bool:
        """Whether it can have made more than one file."""
        return self.companions.counted or "%" in "".join(self.template.parts)

    def folder(self, depth: int, name: str) -> re.Match[str] | None:
        """Match a folder, so many below the root."""
        return self.folders[depth].fullmatch(name)

    def file(self, name: str) -> re.Match[str] | None:
        """Match a file in the innermost folder; its `stem` is what it has in common with others."""
        return self._file.fullmatch(name)

    def clips(self, name: str) -> re.Match[str] | None:
        """Match a folder of clips."""
        return self._clips.fullmatch(name) if self.companions.folder else None

    def clip(self, name: str) -> re.Match[str] | None:
        """Match a file in a folder of clips."""
        return self._clip.fullmatch(name)


def agree(matches: list[re.Match[str]]) -> bool:
    """Return whether the fields of a path's parts are those of one moment, and that existed."""
    values: dict[str, str] = {}
    for match in matches:
        for group, value in match.groupdict().items():
            if (
                group != "stem"
                and value is not None
                and values.setdefault(group[0], value) != value
            ):
                return False
    read = {field: value for field, value in values.items() if field in _READ_BACK}
    if not {"Y", "y"} & read.keys():
        read["Y"] = "2000"  # a leap year: 0229 is a day in some year
    try:
        at = datetime.strptime(  # noqa: DTZ007 - never compared with another
            "\n".join(read.values()), "\n".join(f"%{field}" for field in read)
        )
    except ValueError:
        return False
    if "j" not in values and not ({"m", "b", "B"} & values.keys() and "d" in values):
        return True
    return all(
        at.strftime(f"%{field}") == value
        for field, value in values.items()
        if field in _READ_BACK and (field not in "aA" or {"Y", "y"} & values.keys())
    )


def _fields(part: str) -> Iterator[str]:
    return (match[1] for match in _FIELD.finditer(part))


def _unreadable(template: Path) -> Iterator[str]:
    known = {*_DIGITS, *_SHORT_FOR, *_names(), "%"}
    return (f"%{each}" for part in template.parts for each in _fields(part) if each not in known)


def _pattern(part: str, tag: str) -> str:
    """Return a regular expression for a part of a path, with a date or without.

    Each field is a group of its own, whose name begins with its letter; `tag` tells those of the
    parts of one name apart.
    """
    without = undated_pattern(part)
    part = _FIELD.sub(lambda found: _SHORT_FOR.get(found[1], found[0]), part)
    pieces, end = [], 0
    for n, match in enumerate(_FIELD.finditer(part)):
        pieces.append(re.escape(part[end : match.start()]))
        field, end = match[1], match.end()
        allowed = _DIGITS.get(field) or _names().get(field, "%")
        pieces.append("%" if field == "%" else f"(?P<{field}_{tag}{n}>{allowed})")
    return f"(?:{''.join((*pieces, re.escape(part[end:])))}|{without})"


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return the names of days and months, as this machine writes them."""
    halves = {"AM", "PM"}
    with suppress(ValueError):
        halves = {datetime(2000, 1, 1, hour).strftime("%p") for hour in (1, 13)}  # noqa: DTZ001
    words: dict[str, Iterable[str]] = {
        "a": calendar.day_abbr,
        "A": calendar.day_name,
        "b": calendar.month_abbr,
        "B": calendar.month_name,
        "p": halves,
    }
    return {
        field: "|".join(re.escape(each) for each in sorted(names, reverse=True) if each)
        for field, names in words.items()
    }
