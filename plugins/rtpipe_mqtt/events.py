"""What is told on the bus of a pipeline that a broker shows."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class MqttShown(Event):
    """The broker shows the pipeline's state (again), under `topic`."""

    importance = Importance.NOTICE
    type: str = "mqtt.shown"
    host: str
    topic: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.host} shows the state of this run under `{self.topic}/`"


@dataclass(frozen=True, kw_only=True)
class MqttHidden(Event):
    """The broker cannot be reached, or refuses us; it is tried again until it can."""

    importance = Importance.WARNING
    type: str = "mqtt.hidden"
    host: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.host} does not show the state of this run: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class MqttCommanded(Event):
    """A command came by MQTT.

    Attributes:
        action: `STAGE.ACTION`, `mute` or `unmute`; what the topic says, where that is none.
        error: Why it was not carried out; "" where it was.
    """

    importance = Importance.INFO
    type: str = "mqtt.commanded"
    action: str
    error: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.action} by MQTT{f': {self.error}' if self.error else ''}"


EVENTS = (MqttShown, MqttHidden, MqttCommanded)
