"""What is told on the bus of the sending of traces."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class OtelConnected(Event):
    """The receiver takes traces (again)."""

    importance = Importance.INFO
    type: str = "otel.connected"
    host: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.host} takes traces"


@dataclass(frozen=True, kw_only=True)
class OtelDisconnected(Event):
    """The receiver is away, busy or refused; spans wait and are tried again, or are lost."""

    importance = Importance.WARNING
    type: str = "otel.disconnected"
    host: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.host} takes no traces: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class OtelSpansLost(Event):
    """Spans were not delivered; told of the first at once, then once a minute, and at the end.

    Attributes:
        lost: How many, since it was told last.
        total: Since the pipeline began.
        reason: Why the last of them went.
    """

    importance = Importance.WARNING
    type: str = "otel.spans_lost"
    lost: int
    total: int
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.lost} spans are lost, {self.total} in all: {self.reason}"


EVENTS: tuple[type[Event], ...] = (OtelConnected, OtelDisconnected, OtelSpansLost)
