"""An event as it is written down: of which session it is, and with or without words."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtpipe import Event, StageContext

_SESSION_EVENTS = ("realtime.connected", "realtime.rolled_over")
_REMEMBERED = 64
_WORDLESS = frozenset({"type", "source", "path", "reason", "status"})
"""Texts that hold nothing of what anybody said; beside ids (`item_id`)."""


class Tellable(Protocol):
    """What can be written down: an event, or a record of one."""

    @property
    def at(self) -> float:
        """When it happened (pipeline s)."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        ...


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event with all that is to be written of it."""

    at: float
    said: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """See `Tellable.as_dict`."""
        return dict(self.said)


class Records:
    """Makes records of events; knows which session each belongs to.

    A session is what a peer names in `realtime.connected` and `realtime.rolled_over`; before the
    first there is none.

    Args:
        ctx: The stage's that writes.
        words: Whether what was said is written, too.
    """

    def __init__(self, ctx: StageContext, *, words: bool = True) -> None:
        self._ctx = ctx
        self._words = words
        self._known: tuple[tuple[float, str, str], ...] = ()

    def listen(self) -> None:
        """Learn from now on which session it is."""
        self._ctx.on(_SESSION_EVENTS, self._note)

    def session(self, event: Event) -> str:
        """Return the session that an event belongs to; "": none."""
        known = self._known
        mine = tuple(each for each in known if each[2] == event.source) or known
        begun = bisect_right(mine, event.at, key=lambda each: each[0])
        return mine[begun - 1][1] if begun else ""

    def of(self, event: Event) -> EventRecord:
        """Return what is to be written of an event; where it has a session, that is said."""
        said = event.as_dict()
        if session := self.session(event):
            said["session_id"] = session
        if not self._words:
            said = {key: value for key, value in said.items() if _is_wordless(key, value)}
        return EventRecord(event.at, said)

    def _note(self, event: Event) -> None:
        session = event.payload().get("session_id")
        if isinstance(session, str) and session:
            self._known = (*self._known[1 - _REMEMBERED :], (event.at, session, event.source))


def _is_wordless(key: str, value: object) -> bool:
    if isinstance(value, str):
        return key in _WORDLESS or key.endswith("_id")
    return value is None or isinstance(value, int | float)
