"""What is told of a record."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class ReplayRecorded(Event):
    """The record is complete.

    Attributes:
        path: Its folder.
        duration_s: How long the run was.
        events: How many events are in it.
    """

    importance = Importance.NOTICE
    type: str = "replay.recorded"
    path: str
    duration_s: float
    events: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"recorded {self.duration_s:.0f} s and {self.events} events into {self.path}"


@dataclass(frozen=True, kw_only=True)
class ReplayRecordFailed(Event):
    """The record ends here: it cannot be written; the run goes on.

    Attributes:
        path: Its folder.
        reason: Why.
        lost_events: How many events are not in it so far.
    """

    importance = Importance.WARNING
    type: str = "replay.record_failed"
    path: str
    reason: str
    lost_events: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"the record in {self.path} ends: {self.reason}"


EVENTS = (ReplayRecorded, ReplayRecordFailed)
