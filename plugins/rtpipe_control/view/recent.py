"""What has happened lately: a page that is opened, or opened again, knows what was before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rtpipe import Importance, Pattern
from rtpipe_control.view.shown_event import ShownEvent, shown

if TYPE_CHECKING:
    from rtpipe import Event

CONVERSATION = ("transcript.*", "transcript_delta.*", "turn.*", "latency.*")
"""What is said, heard and waited for."""
_MOST_EVENTS = 400
_MOST_SAID = 1000
_MOST_WARNINGS = 50
_MOST_LAST = 300


class Recent:
    """The newest events, and the last one of each kind: bounded.

    Of a detail that comes many times in a row only the newest is kept, with a `count`.
    """

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)
        self._said: deque[dict[str, Any]] = deque(maxlen=_MOST_SAID)
        self._warnings: deque[dict[str, Any]] = deque(maxlen=_MOST_WARNINGS)
        self._last: dict[tuple[str, str], dict[str, Any]] = {}
        self._conversation = Pattern(CONVERSATION)

    def take(self, event: Event) -> ShownEvent:
        """Remember `event`; returns it as it is shown."""
        told = shown(event)
        detail = type(event).importance is Importance.DETAIL
        _append(self._events, told, fold=detail)
        if type(event).importance >= Importance.WARNING:
            self._warnings.append(told)
        if self._conversation.matches(event.type):
            self._converse(told)
        elif not detail:
            key = (event.source, event.type)
            self._last.pop(key, None)
            self._last[key] = told
            if len(self._last) > _MOST_LAST:
                del self._last[next(iter(self._last))]
        return told

    def shown(self) -> list[dict[str, Any]]:
        """Return all events in it."""
        return [*self._events, *self._said, *self._last.values()]

    def as_dict(self) -> dict[str, Any]:
        """Return it all, the oldest first."""
        return {
            "events": [*self._events],
            "conversation": [*self._said],
            "warnings": [*self._warnings],
            "last": [*self._last.values()],
        }

    def _converse(self, told: dict[str, Any]) -> None:
        """Remember what was said; a whole text takes the place of its pieces."""
        if told["type"] in {"transcript.user", "transcript.assistant"} and told.get("item_id"):
            pieces = told["type"].replace("transcript.", "transcript_delta.")
            for piece in [each for each in self._said if each["type"] == pieces]:
                if piece.get("item_id") == told["item_id"]:
                    self._said.remove(piece)
        _append(self._said, told, fold=told["type"] == "turn.answer_heard")


def _append(events: deque[dict[str, Any]], told: dict[str, Any], *, fold: bool) -> None:
    if fold and events and _is_like(events[-1], told):
        events[-1] = {**told, "count": events[-1].get("count", 1) + 1}
    else:
        events.append(told)


def _is_like(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["type"], one["source"]) == (other["type"], other["source"])
