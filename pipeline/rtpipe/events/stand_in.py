"""What the framework publishes of a fallback that stands in, and of the way back."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe.events.event import Event, Importance


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
class StageStillAway(Event):
    """What a fallback stands in for was tried again and did not open; told once for each reason."""

    importance = Importance.INFO
    type: str = "stage.still_away"
    wanted: str
    reason: str
    away_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.reason}: still away after {self.away_s:.0f} s"


@dataclass(frozen=True, kw_only=True)
class StageReturning(Event):
    """What a fallback stands in for is open again; it takes its place when nobody speaks."""

    importance = Importance.INFO
    type: str = "stage.returning"
    wanted: str
    away_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"`{self.wanted}` is there again, and waits for a pause"


@dataclass(frozen=True, kw_only=True)
class StageReturned(Event):
    """What a fallback stood in for has taken its place again.

    `away_s` is how long it was away, `waited_s` how long it waited, open, for a pause; `paused` is
    false where none came in time, so that somebody may have been cut off.
    """

    importance = Importance.WARNING
    type: str = "stage.returned"
    used: str
    instead_of: str
    away_s: float
    waited_s: float
    paused: bool

    def line(self) -> str:
        """See `Event.line`."""
        cut = "" if self.paused else f"; no pause came in {self.waited_s:.0f} s"
        return f"`{self.used}` is back after {self.away_s:.0f} s, for `{self.instead_of}`{cut}"
