"""What the surface tells on the bus."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class ControlOpened(Event):
    """The run can be looked at and steered under `name`; `url` is the page, "" without one."""

    type: str = "control.opened"
    name: str
    url: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        page = f"; the page is at {self.url}" if self.url else ""
        return f"`rtpipe ctl {self.name}` steers this run{page}"


@dataclass(frozen=True, kw_only=True)
class ControlOpenedAside(ControlOpened):
    """A person should know: there is a page, or another run has the pipeline's own name."""

    importance = Importance.NOTICE


@dataclass(frozen=True, kw_only=True)
class ControlRefused(Event):
    """The surface, or a part of it, could not be opened; the pipeline runs all the same."""

    importance = Importance.WARNING
    type: str = "control.refused"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"not open to the outside as asked for: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class ControlUsed(Event):
    """Somebody outside carried out an action, or asked the pipeline to stop.

    Attributes:
        action: `STAGE.ACTION`, or `stop`.
        error: Why it was not carried out; "" where it was.
    """

    importance = Importance.INFO
    type: str = "control.used"
    action: str
    error: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.action} from outside{f': {self.error}' if self.error else ''}"


@dataclass(frozen=True, kw_only=True)
class ControlSoundLost(Event):
    """One who listened to a stage did not read in time; the pipeline itself lost nothing.

    Attributes:
        stage: What was listened to.
        lost_s: How much was left out of what was sent (s).
    """

    importance = Importance.INFO
    type: str = "control.sound_lost"
    stage: str
    lost_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"somebody who listens to {self.stage} was too slow for {self.lost_s:.1f} s of it"


EVENTS: tuple[type[Event], ...] = (
    ControlOpened,
    ControlOpenedAside,
    ControlRefused,
    ControlSoundLost,
    ControlUsed,
)
