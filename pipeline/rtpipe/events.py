"""Events: past-tense facts on the bus, and those that the framework itself publishes."""

from __future__ import annotations

import dataclasses
import enum
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
        return _on_one_line(f"{self.type} {pairs}", _LONGEST_LINE)

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


@dataclass(frozen=True, kw_only=True)
class PipelineStarted(Event):
    """Every stage is open and the sources begin."""

    type: str = "pipeline.started"
    name: str


@dataclass(frozen=True, kw_only=True)
class PipelineStopping(Event):
    """A stop was asked for; sources close and what is queued drains."""

    importance = Importance.NOTICE
    type: str = "pipeline.stopping"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"stopping: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class PipelineEnded(Event):
    """Every stage is closed."""

    importance = Importance.NOTICE
    type: str = "pipeline.ended"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"ended: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class StageStatusChanged(Event):
    """A stage moved between starting, ok, recovering, failed, stopping and stopped."""

    importance = Importance.DETAIL
    type: str = "stage.status_changed"
    status: str
    detail: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        return f"is {self.status}: {self.detail}" if self.detail else f"is {self.status}"


@dataclass(frozen=True, kw_only=True)
class StageUnwell(StageStatusChanged):
    """A stage is recovering or has failed; `stage.failed` or `stage.fell_back` tells why."""

    importance = Importance.INFO


@dataclass(frozen=True, kw_only=True)
class StageFellBack(Event):
    """A stage could not open because of its surroundings; its `fallback:` took its place."""

    importance = Importance.WARNING
    type: str = "stage.fell_back"
    wanted: str
    used: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.reason}: `{self.used}` takes over"


@dataclass(frozen=True, kw_only=True)
class StageFailed(Event):
    """A stage raised; `policy` says what was done about it."""

    importance = Importance.ERROR
    type: str = "stage.failed"
    error: str
    policy: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.error.removeprefix(f'{self.source}: ')} (on_error: {self.policy})"


@dataclass(frozen=True, kw_only=True)
class StageRestarted(Event):
    """A failed stage is open again."""

    importance = Importance.WARNING
    type: str = "stage.restarted"
    tries: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"open again (try {self.tries})"


@dataclass(frozen=True, kw_only=True)
class StageStalled(Event):
    """A stage held the event loop; `where` is the line it was at."""

    importance = Importance.WARNING
    type: str = "stage.stalled"
    held_ms: float
    where: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"held the event loop for {self.held_ms:.0f} ms at {self.where}"


@dataclass(frozen=True, kw_only=True)
class LinkDropped(Event):
    """A full inlet dropped audio; `total_ms` counts since the start."""

    importance = Importance.WARNING
    type: str = "link.dropped"
    dropped_ms: float
    total_ms: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"dropped {self.dropped_ms:.0f} ms of audio, {self.total_ms:.0f} ms in all"


@dataclass(frozen=True, kw_only=True)
class LinkFlushed(Event):
    """A flush dropped what was buffered in a stage and after it."""

    type: str = "link.flushed"
    flushed_ms: float


@dataclass(frozen=True, kw_only=True)
class RouteFailed(Event):
    """A route's action raised; the pipeline goes on."""

    importance = Importance.ERROR
    type: str = "route.failed"
    action: str
    error: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.action}: {self.error}"


@dataclass(frozen=True, kw_only=True)
class PluginFailed(Event):
    """What a plugin hung on the running pipeline raised or is late; the pipeline goes on."""

    importance = Importance.ERROR
    type: str = "plugin.failed"
    plugin: str
    error: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the plugin `{self.plugin}` failed: {self.error}"


@dataclass(frozen=True, kw_only=True)
class SubscriberOverflowed(Event):
    """A slow subscriber's queue was full; `lost` of its events are gone."""

    importance = Importance.WARNING
    type: str = "subscriber.overflowed"
    lost: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"too slow: {self.lost} events were lost to it"


@dataclass(frozen=True, kw_only=True)
class TurnUserStarted(Event):
    """The user's turn begins: the peer's turn detection heard speech, or a key was pressed.

    Every start of a turn, this and the answer's, is followed by exactly one stop.

    Attributes:
        item_id: The peer's name for what is being said; "" where it has none yet.
    """

    type: str = "turn.user_started"
    item_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnUserStopped(Event):
    """The user's turn is over, or the call in which it was heard.

    Attributes:
        item_id: As in the `turn.user_started` before it.
    """

    type: str = "turn.user_stopped"
    item_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnAnswerStarted(Event):
    """The first audible sample of an answer is given out by the peer.

    What a loudspeaker really plays of it is told by `playback.*`.

    Attributes:
        response_id: The peer's name for the answer; "" where it has none.
    """

    type: str = "turn.answer_started"
    response_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnAnswerStopped(Event):
    """No audible sample of the answer follows; told once that is known.

    Attributes:
        response_id: As in the `turn.answer_started` before it.
        quiet_s: How long ago its last audible sample was given out when this is told.
    """

    type: str = "turn.answer_stopped"
    response_id: str = ""
    quiet_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TurnAnswerCut(Event):
    """An answer is cut off before its end; its `turn.answer_stopped` follows at once.

    Attributes:
        response_id: The answer.
        heard_ms: How much of it was heard, from its first audible sample on: what was given out,
            less what had not been played as far as a loudspeaker tells.
    """

    type: str = "turn.answer_cut"
    response_id: str = ""
    heard_ms: float = 0.0


CORE_EVENTS: tuple[type[Event], ...] = (
    PipelineStarted,
    PipelineStopping,
    PipelineEnded,
    StageStatusChanged,
    StageUnwell,
    StageFellBack,
    StageFailed,
    StageRestarted,
    StageStalled,
    LinkDropped,
    LinkFlushed,
    RouteFailed,
    PluginFailed,
    SubscriberOverflowed,
)
"""What the framework publishes in any pipeline."""


def event_type(event: type[Event] | str) -> str:
    """Return the dotted name of an event class, or the name itself."""
    if isinstance(event, str):
        return event
    return event.type


def attributed_line(event: Event) -> tuple[str, str]:
    """Return who says `event`, and what, in words on one line: for whatever shows it to people.

    A `line` that raises or returns no text is replaced by the default. What a speaker said is not
    shortened.
    """
    speaker = type(event).speaker
    longest = None if speaker else _LONGEST_LINE
    text = event.type
    for line in (type(event).line, Event.line):
        with suppress(Exception):  # a stranger's line must not end anything
            text = _on_one_line(line(event), longest)
            break
    return f"{speaker or event.source or 'pipeline'}", text


def plain_values(payload: Mapping[str, Any]) -> str:
    """Return the texts and numbers of a payload as `key=value …`; what is nested is left out."""
    return " ".join(
        f"{key}={_on_one_line(f'{value}', _LONGEST_VALUE)}"
        for key, value in payload.items()
        if key not in {"type", "event_id"} and isinstance(value, str | int | float)
    )


def _on_one_line(text: str, longest: int | None) -> str:
    joined = " ".join(text.split())
    return joined if longest is None or len(joined) <= longest else joined[: longest - 1] + "…"
