"""The event: a past-tense fact on the bus, how important it is, and how it reads."""

from __future__ import annotations

import dataclasses
import enum
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe.errors import on_one_line, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVELOPE = frozenset({"type", "source", "at"})
"""The fields that every event has."""
_LONGEST_VALUE = 120
_LONGEST_LINE = 400


class Importance(enum.IntEnum):
    """How much an event matters to a person: where it is shown, and its level in a log."""

    DETAIL = logging.DEBUG
    """Many times a second, or a protocol's bookkeeping: only in a log that asks for it."""
    INFO = logging.INFO
    """In a log; not on the terminal."""
    NOTICE = 25
    """On the terminal; to a log it is an INFO."""
    WARNING = logging.WARNING
    """Trouble that the pipeline deals with, and its end; on the terminal and in a log."""
    ERROR = logging.ERROR
    """Something failed; on the terminal and in a log."""

    @property
    def log_level(self) -> int:
        """The level of Python's logging."""
        return logging.INFO if self is Importance.NOTICE else int(self)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact. Subclass it, give `type` a default and add fields for the payload.

    Attributes:
        importance: Where a person is shown it; of the class.
        speaker: Who said it ("visitor", "model"), where `line` is what was said; of the class.
        type: Dotted name (`vad.speech_started`).
        source: Id of the stage that says it; filled in by `StageContext.publish`.
        at: Pipeline seconds; filled in by `StageContext.publish`.
    """

    importance: ClassVar[Importance] = Importance.INFO
    speaker: ClassVar[str] = ""

    type: str = ""
    source: str = ""
    at: float = 0.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not isinstance(cls.importance, Importance):
            raise TypeError(f"{cls.__name__}.importance must be an rtpipe.Importance")

    def line(self) -> str:
        """Return the event in words, for one line, without who says it; for overriding.

        By default its type and the plain values of its payload, shortened.
        """
        pairs = plain_values(self.payload())
        return on_one_line(f"{self.type} {pairs}", _LONGEST_LINE)

    def payload(self) -> Mapping[str, Any]:
        """Return what the event says beside its type, source and time."""
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ENVELOPE
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON-ready values: the envelope, then the payload."""
        return {
            **{k: v for k, v in self.payload().items() if k not in ENVELOPE},
            "type": self.type,
            "source": self.source,
            "at": round(self.at, 4),
        }


def event_type(event: type[Event] | str) -> str:
    """Return the dotted name of an event class, or the name itself."""
    return event if isinstance(event, str) else event.type


def attributed_line(event: Event) -> tuple[str, str]:
    """Return who says `event`, and what, in words on one line: for whatever shows it to people.

    A `line` that raises or gives no text is replaced by the default; speech is not shortened.
    """
    speaker = type(event).speaker
    longest = None if speaker else _LONGEST_LINE
    text = on_one_line(event.type, longest)
    for line in (type(event).line, Event.line):
        with suppress(Exception):  # a stranger's line must not end anything
            text = on_one_line(line(event), longest)
            break
    return printable(f"{speaker or event.source or 'pipeline'}"), text


def plain_values(payload: Mapping[str, Any]) -> str:
    """Return the texts and numbers of a payload as `key=value …`; what is nested is left out."""
    return " ".join(
        f"{key}={on_one_line(f'{value}', _LONGEST_VALUE)}"
        for key, value in payload.items()
        if key not in {"type", "event_id"} and isinstance(value, str | int | float)
    )
