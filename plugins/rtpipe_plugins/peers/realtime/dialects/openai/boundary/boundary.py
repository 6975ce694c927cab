"""The one place where a server's messages become events of the dialect, or are counted out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.openai.boundary.decoding import (
    SplitCharacters,
    encodable,
    loaded,
)
from rtpipe_plugins.peers.realtime.dialects.openai.boundary.shapes import fitted
from rtpipe_plugins.peers.realtime.dialects.openai.messages import text_of
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import (
    SERVER_EVENTS,
    SERVER_NAMESPACES,
)
from rtpipe_plugins.peers.realtime.events import RealtimeEventInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_CHARACTERS = 1_048_576
"""What is longer is not read: no event of a spoken conversation comes near it."""

_TYPE = re.compile(r"[\w.-]{1,128}", re.ASCII)
_DOCUMENTED = frozenset(SERVER_EVENTS)
_MOST_KINDS = 32  # of trouble, each told by itself


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event of the server's.

    Attributes:
        type: Its name.
        data: All that the server said, encodable as UTF-8.
        usable: The same without what is of the wrong type.
    """

    type: str
    data: Mapping[str, Any]
    usable: Mapping[str, Any]


class InvalidEvents:
    """Counts what could not be used, and tells of each kind at the 1st, 10th, 100th time."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], int] = {}
        self.count = 0
        """Events that could not be used, or only in part."""

    def note(
        self, type: str, problems: list[str], *, ignored: bool = False
    ) -> list[RealtimeEventInvalid]:
        """Count an event; returns what is to be told of it.

        Args:
            type: Its name; "" where it has none.
            problems: What is wrong with it.
            ignored: Whether nothing of it could be used.
        """
        self.count += 1
        told = []
        for problem in dict.fromkeys(problems):
            kind = (type, problem)
            if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
                kind = ("", "more kinds of trouble than are told one by one")
            count = self._kinds[kind] = self._kinds.get(kind, 0) + 1
            if f"{count}".strip("0") == "1":
                told.append(
                    RealtimeEventInvalid(
                        event=kind[0], problem=kind[1], ignored=ignored, count=count
                    )
                )
        return told


class Boundary:
    """Admits a server's events; what it sends beside them is counted.

    Args:
        mask: Takes secrets out of what the server says.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._split = SplitCharacters()
        self.invalid = InvalidEvents()
        """What could not be used."""

    def admit(self, message: str | bytes) -> tuple[Admitted | None, list[RealtimeEventInvalid]]:
        """Return the event in `message`, if there is one, and what is to be told of it."""
        if len(message) > MAX_CHARACTERS:
            return None, self._refused("", f"it is longer than {MAX_CHARACTERS} characters")
        text = message if isinstance(message, str) else message.decode(errors="replace")
        event = loaded(self._mask(text))
        if event is None:
            return None, self._refused("", "it is not a JSON object")
        type = text_of(event, "type")
        if not _TYPE.fullmatch(type):
            return None, self._refused("", "its `type` is not the name of an event")
        if type.partition(".")[0] not in SERVER_NAMESPACES:
            return None, self._refused(type, "it is not an event of a server's")
        self._split.join(event)
        data = encodable(event)
        if data is None:
            return None, self._refused(type, "it is nested too deeply")
        if type not in _DOCUMENTED:
            return Admitted(type, data, data), []
        usable, problems = fitted(data)
        told = self.invalid.note(type, problems) if problems else []
        return Admitted(type, data, usable), told

    def _refused(self, type: str, problem: str) -> list[RealtimeEventInvalid]:
        return self.invalid.note(type, [problem], ignored=True)
