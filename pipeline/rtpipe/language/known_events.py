"""Which events there are, and whether two globs can mean the same one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rtpipe.events import CORE_EVENTS, event_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.stage import Stage

CORE = tuple(event_type(event) for event in CORE_EVENTS)


def published_by(stages: Iterable[type[Stage[Any]]]) -> list[str]:
    """Return the names and globs of what some stages publish, the framework's own included."""
    names = [event_type(event) for stage in stages for event in stage.publishes]
    return sorted({*CORE, *names})


def overlap(one: str, other: str) -> bool:
    """Return whether some event type is matched by both globs."""
    glob = _glob(one)
    places = glob.behind_stars(1)  # bits: where in `one` the texts that match so far can have come
    for char in other:
        if char == "*":
            places = glob.everywhere & -(places & -places)
            continue
        taken = glob.takes.get(char, glob.takes["?"]) if char != "?" else glob.takes["*"]
        places = glob.behind_stars((places & taken) << 1 | places & glob.stars)
        if not places:
            return False
    return bool(places >> glob.length)


@dataclass(frozen=True, slots=True)
class _Glob:
    """A glob, one bit for each of its characters.

    Attributes:
        length: Its length without stars that follow a star; the bit of that number is its end.
        stars: Where its stars are.
        takes: Where a character is taken, by the character; `?`: any one; `*`: all these places.
    """

    length: int
    stars: int
    takes: dict[str, int]

    @property
    def everywhere(self) -> int:
        return (1 << self.length + 1) - 1

    def behind_stars(self, places: int) -> int:
        """Return some places, and those that are reached from them over a star."""
        return places | (places & self.stars) << 1


@lru_cache(maxsize=1024)
def _glob(text: str) -> _Glob:
    text = re.sub(r"\*+", "*", text)
    bits: dict[str, int] = {}
    for index, char in enumerate(text):
        bits[char] = bits.get(char, 0) | 1 << index
    stars, any_ = bits.pop("*", 0), bits.pop("?", 0)
    takes = {char: places | any_ for char, places in bits.items()}
    return _Glob(len(text), stars, {**takes, "?": any_, "*": sum(bits.values()) | any_})


def is_glob(name: str) -> bool:
    """Return whether `name` stands for several events."""
    return any(char in name for char in "*?[")
