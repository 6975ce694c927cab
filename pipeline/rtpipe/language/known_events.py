"""Which events there are, and whether two globs can mean the same one."""

from __future__ import annotations

from functools import cache
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


@cache
def overlap(one: str, other: str) -> bool:
    """Return whether some event type is matched by both globs."""
    if not one or not other:
        return set(one + other) <= {"*"}
    first, second = one[0], other[0]
    if first == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if second == "*":
        return overlap(other, one)
    if "?" in (first, second) or first == second:
        return overlap(one[1:], other[1:])
    return False


def is_glob(name: str) -> bool:
    """Return whether `name` stands for several events."""
    return any(char in name for char in "*?[")
