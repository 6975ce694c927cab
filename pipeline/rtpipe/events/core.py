"""What the framework itself publishes in any pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rtpipe.events.event import Event, Importance
from rtpipe.events.stand_in import StageFellBack, StageReturned, StageReturning, StageStillAway

if TYPE_CHECKING:
    from av import AudioLayout


@dataclass(frozen=True, kw_only=True)
class PipelineStarted(Event):
    """Every stage is open and the sources begin."""

    type: str = "pipeline.started"
    name: str


@dataclass(frozen=True, kw_only=True)
class PipelineAudioStarted(Event):
    """A sink or a peer took the first audio, `after_s` after the start of `rtpipe run`.

    `opening_s` of it went by before every stage was open.
    """

    importance = Importance.INFO
    type: str = "pipeline.audio_started"
    after_s: float
    opening_s: float

    def line(self) -> str:
        """See `Event.line`."""
        opening = f", {self.opening_s:.1f} s of it to open the stages" if self.opening_s else ""
        return f"audio flows after {self.after_s:.1f} s{opening}"


@dataclass(frozen=True, kw_only=True)
class PipelineAudioStartedLate(PipelineAudioStarted):
    """It took so long that a person will have wondered."""

    importance = Importance.NOTICE


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
class PipelineReloaded(Event):
    """The pipeline runs another file: what that changed, in words; what both share goes on.

    `keeps_call` says whether every call has gone on.
    """

    importance = Importance.NOTICE
    type: str = "pipeline.reloaded"
    changes: tuple[str, ...]
    keeps_call: bool = True

    def line(self) -> str:
        """See `Event.line`."""
        return f"reloaded: {'; '.join(self.changes) or 'nothing has changed'}"


@dataclass(frozen=True, kw_only=True)
class PipelineReloadRefused(Event):
    """Another file was not taken; the pipeline runs as before."""

    importance = Importance.NOTICE
    type: str = "pipeline.reload_refused"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"not reloaded: {self.reason}"


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
class StageFailed(Event):
    """A stage raised; `policy` says what was done about it, `where` the line of its code."""

    importance = Importance.ERROR
    type: str = "stage.failed"
    error: str
    policy: str
    where: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        place = f" at {self.where}" if self.where else ""
        return f"{self.error.removeprefix(f'{self.source}: ')}{place} (on_error: {self.policy})"


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
class StageWaiting(Event):
    """A source has given no audio for `waited_s`, or a stage is still being opened; told once.

    `reason` says what is known of why: its last trouble; "" where nothing is.
    """

    importance = Importance.WARNING
    type: str = "stage.waiting"
    waited_s: float
    opening: bool
    reason: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        what = "is still being opened" if self.opening else "has given no audio"
        reason = f": {self.reason}" if self.reason else ""
        return f"{what} after {self.waited_s:.0f} s{reason}"


@dataclass(frozen=True, kw_only=True)
class StageAudioStarted(Event):
    """A source that `stage.waiting` had named gives audio, after `waited_s`."""

    importance = Importance.NOTICE
    type: str = "stage.audio_started"
    waited_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"gives audio after {self.waited_s:.1f} s"


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
    """A full inlet dropped audio; `total_ms` counts since the start.

    Told of the first loss at once, then at most once a second; of the rest at the end.
    """

    importance = Importance.WARNING
    type: str = "link.dropped"
    dropped_ms: float
    total_ms: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"dropped {self.dropped_ms:.0f} ms of audio, {self.total_ms:.0f} ms in all"


@dataclass(frozen=True, kw_only=True)
class LinkDownmixed(Event):
    """Audio of more than two channels goes on in another layout, because its reader takes no other.

    As many channels keep their order. Fewer get a downmix in which each of them is heard.
    """

    importance = Importance.NOTICE
    type: str = "link.downmixed"
    layout: str
    channels: int
    becomes: str
    left: int

    @classmethod
    def of(cls, layout: AudioLayout, becomes: AudioLayout) -> Self:
        """Return the event of one layout that becomes another."""
        return cls(
            layout=layout.name,
            channels=layout.nb_channels,
            becomes=becomes.name,
            left=becomes.nb_channels,
        )

    def line(self) -> str:
        """See `Event.line`."""
        if self.left == self.channels:
            return f"takes {self.layout} as {self.becomes}: {self.left} channels in their order"
        return f"takes {self.layout} as {self.becomes}: {self.channels} channels are mixed down"


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
class BusHandlerFailed(Event):
    """A handler on the bus raised; told once, and the others got the event all the same."""

    importance = Importance.ERROR
    type: str = "bus.handler_failed"
    handler: str
    error: str
    heard: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the handler {self.handler} failed on `{self.heard}`: {self.error}"


@dataclass(frozen=True, kw_only=True)
class SubscriberOverflowed(Event):
    """A slow subscriber's queue was full; `lost` of its events are gone."""

    importance = Importance.WARNING
    type: str = "subscriber.overflowed"
    lost: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"too slow: {self.lost} events were lost to it"


CORE_EVENTS: tuple[type[Event], ...] = (
    PipelineStarted,
    PipelineAudioStarted,
    PipelineAudioStartedLate,
    PipelineStopping,
    PipelineReloaded,
    PipelineReloadRefused,
    PipelineEnded,
    StageStatusChanged,
    StageUnwell,
    StageFellBack,
    StageStillAway,
    StageReturning,
    StageReturned,
    StageFailed,
    StageRestarted,
    StageWaiting,
    StageAudioStarted,
    StageStalled,
    LinkDropped,
    LinkDownmixed,
    LinkFlushed,
    RouteFailed,
    PluginFailed,
    BusHandlerFailed,
    SubscriberOverflowed,
)
"""What the framework publishes in any pipeline."""
