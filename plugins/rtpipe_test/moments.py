"""Moments of a test: a second, or an event with some seconds added."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator

from rtpipe import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import Event

_TEXT = re.compile(
    r"([A-Za-z_*?\[][\w.*?\[\]!-]*)(?:#([1-9]\d{0,3}))?(?:\s*([+-])\s*(\d+(?:\.\d+)?))?"
)
_EXAMPLE = "a number of seconds, an event, or an event and seconds: `transcript.user + 0.5`"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is: `plus_s` after the pipeline's start, or after an event.

    Attributes:
        event: Its name or glob; "" for the start.
        number: Which of them, from 1.
        plus_s: Seconds to add; may be negative.
    """

    event: str
    number: int
    plus_s: float

    @classmethod
    def read(cls, said: float | str) -> Moment:
        """Return the moment that `said` names.

        Raises:
            ValueError: It names none.
        """
        if not isinstance(said, str):
            return cls("", 1, float(said))
        found = _TEXT.fullmatch(said.strip())
        if found is None:
            raise ValueError(f"is no moment; one is {_EXAMPLE}")
        event, number, sign, seconds = found.groups()
        plus_s = float(f"{sign}{seconds}") if sign else 0.0
        return cls(event, int(number or 1), plus_s)

    def at(self, events: Iterable[Event]) -> float | None:
        """Return when it was (pipeline seconds); None: that has not happened so often."""
        if not self.event:
            return self.plus_s
        pattern, left = Pattern(self.event), self.number
        for event in events:
            left -= pattern.matches(event.type)
            if not left:
                return event.at + self.plus_s
        return None


def _checked(said: float | str) -> float | str:
    Moment.read(said)
    return said


When: TypeAlias = Annotated[float | str, AfterValidator(_checked)]
"""A moment as a file has it: seconds, `EVENT`, `EVENT#2`, `EVENT + seconds`."""
