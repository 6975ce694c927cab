"""Events: past-tense facts on the bus, and those that the framework itself publishes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVELOPE = frozenset({"type", "source", "at"})


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact. Subclass it, give `type` a default and add fields for the payload.

    Attributes:
        type: Dotted name (`vad.speech_started`).
        source: Id of the stage that says it; filled in by `StageContext.publish`.
        at: Pipeline seconds; filled in by `StageContext.publish`.
    """

    type: str = ""
    source: str = ""
    at: float = 0.0

    def payload(self) -> Mapping[str, Any]:
        """Return what the event says beside its type, source and time."""
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in _ENVELOPE
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON-ready values: the envelope, then the payload."""
        return {
            **{k: v for k, v in self.payload().items() if k not in _ENVELOPE},
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

    type: str = "pipeline.stopping"
    reason: str


@dataclass(frozen=True, kw_only=True)
class PipelineEnded(Event):
    """Every stage is closed."""

    type: str = "pipeline.ended"
    reason: str


@dataclass(frozen=True, kw_only=True)
class StageStatusChanged(Event):
    """A stage moved between starting, ok, recovering, failed, stopping and stopped."""

    type: str = "stage.status_changed"
    status: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class StageFellBack(Event):
    """A stage could not open because of its surroundings; its `fallback:` took its place."""

    type: str = "stage.fell_back"
    wanted: str
    used: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class StageFailed(Event):
    """A stage raised; `policy` says what was done about it."""

    type: str = "stage.failed"
    error: str
    policy: str


@dataclass(frozen=True, kw_only=True)
class StageRestarted(Event):
    """A failed stage is open again."""

    type: str = "stage.restarted"
    tries: int


@dataclass(frozen=True, kw_only=True)
class StageStalled(Event):
    """A stage held the event loop; `where` is the line it was at."""

    type: str = "stage.stalled"
    held_ms: float
    where: str


@dataclass(frozen=True, kw_only=True)
class LinkDropped(Event):
    """A full inlet dropped audio; `total_ms` counts since the start."""

    type: str = "link.dropped"
    dropped_ms: float
    total_ms: float


@dataclass(frozen=True, kw_only=True)
class LinkFlushed(Event):
    """A flush dropped what was buffered in a stage and after it."""

    type: str = "link.flushed"
    flushed_ms: float


@dataclass(frozen=True, kw_only=True)
class RouteFailed(Event):
    """A route's action raised; the pipeline goes on."""

    type: str = "route.failed"
    action: str
    error: str


@dataclass(frozen=True, kw_only=True)
class SubscriberOverflowed(Event):
    """A slow subscriber's queue was full; `lost` of its events are gone."""

    type: str = "subscriber.overflowed"
    lost: int


CORE_EVENTS: tuple[type[Event], ...] = (
    PipelineStarted,
    PipelineStopping,
    PipelineEnded,
    StageStatusChanged,
    StageFellBack,
    StageFailed,
    StageRestarted,
    StageStalled,
    LinkDropped,
    LinkFlushed,
    RouteFailed,
    SubscriberOverflowed,
)
"""What the framework publishes in any pipeline."""


def event_type(event: type[Event] | str) -> str:
    """Return the dotted name of an event class, or the name itself."""
    if isinstance(event, str):
        return event
    return str(event.__dataclass_fields__["type"].default)
