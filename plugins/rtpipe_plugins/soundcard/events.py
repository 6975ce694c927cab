"""What is told of a sound device: that it has gone, is back, or is another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class DeviceLost(Event):
    """The device is gone; `on_lost` says what is done about it.

    `direction` is input of a microphone, output of a loudspeaker. `others` are names for `use` of
    those that could take its place; empty where they are not known.
    """

    importance = Importance.WARNING
    type: str = "device.lost"
    device: str
    reason: str
    direction: Literal["input", "output"]
    others: list[str] = field(default_factory=list)

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class DeviceReturned(Event):
    """The device is back and its audio flows again."""

    importance = Importance.WARNING
    type: str = "device.returned"
    device: str
    away_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is back after {self.away_s:.0f} s"


@dataclass(frozen=True, kw_only=True)
class DeviceMuted(Event):
    """The device has been muted at the sound server: what it gives or takes is silence."""

    importance = Importance.WARNING
    type: str = "device.muted"
    device: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is muted at the sound server"


@dataclass(frozen=True, kw_only=True)
class DeviceUnmuted(Event):
    """The device is no longer muted at the sound server."""

    importance = Importance.WARNING
    type: str = "device.unmuted"
    device: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is no longer muted"


@dataclass(frozen=True, kw_only=True)
class DeviceChanged(Event):
    """Another device has been taken by `use`.

    `asked` is the name that was given, `previous` the device before.
    """

    importance = Importance.NOTICE
    type: str = "device.changed"
    device: str
    previous: str
    asked: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"uses {self.device} now"


@dataclass(frozen=True, kw_only=True)
class DeviceRefused(Event):
    """A device that `use` asked for could not be taken; the one before goes on.

    `device` is the name that was given.
    """

    importance = Importance.WARNING
    type: str = "device.refused"
    device: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"cannot use {self.device}: {self.reason}"


DEVICE_EVENTS = (
    DeviceLost,
    DeviceReturned,
    DeviceChanged,
    DeviceRefused,
    DeviceMuted,
    DeviceUnmuted,
)
"""What a stage with a `DeviceWatch` publishes."""
