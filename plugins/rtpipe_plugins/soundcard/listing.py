"""The audio devices of this computer, each with the text to paste."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import RtpipeError
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.soundcard import portaudio, pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_plugins.soundcard.portaudio import Device, Direction

SERVERS = frozenset({"default", "pulse", "pipewire"})
"""ALSA's names for what the sound server prefers."""


def listing(direction: Direction) -> list[dict[str, Any]]:
    """Return the devices of a direction.

    Each as direction, device (to paste), name, channels, sample_rate, default.

    Raises:
        EnvironmentProblem: The PortAudio library is missing, or the sound server hangs.
    """
    with portaudio.turn:
        listed = portaudio.list_devices(portaudio.load(), direction)
    found = [_described(device, listed, direction) for device in listed]
    if any(device.name == "pulse" for device in listed):
        found += _pulse_devices(direction)
    return found


def _described(device: Device, all_devices: list[Device], direction: Direction) -> dict[str, Any]:
    return {
        "direction": direction,
        "device": portaudio.pasted(device, all_devices),
        "name": device.name,
        "channels": device.channels,
        "sample_rate": device.sample_rate,
        "default": device.is_default,
    }


def _pulse_devices(direction: Direction) -> Iterator[dict[str, Any]]:
    """Yield PulseAudio's (or PipeWire's) own devices, which PortAudio shows as one."""
    for device in pulse.pulse_devices(direction) or ():
        if not device.is_monitor:
            yield {
                "direction": direction,
                "device": f"pulse:{device.name}",
                "name": device.description or device.name,
                "channels": len(device.channel_map),
                "sample_rate": device.sample_rate,
                "default": False,
            }


class KnownDevices:
    """The devices that there were at the last look, which is made in a thread of its own.

    Args:
        direction: Which.
    """

    def __init__(self, direction: Direction) -> None:
        self._direction: Direction = direction
        self._thread = OwnThread("devices", may_hang=True)
        self._looking: asyncio.Future[list[dict[str, Any]]] | None = None
        self.rows: list[dict[str, Any]] = []
        """As `listing` has them."""

    def look(self) -> asyncio.Future[list[dict[str, Any]]]:
        """Begin to look again, unless that is being done; `rows` are new when it is done."""
        if self._looking is None or self._looking.done():
            self._looking = self._thread.start(self._listed)
            self._looking.add_done_callback(self._seen)
        return self._looking

    async def others(self, lost: Device, patience_s: float) -> list[str]:
        """Return the names of those that could be used instead of one; [] if that takes longer."""
        await asyncio.wait([looking := self.look()], timeout=patience_s)
        if not looking.done():
            return []
        rows = [row for row in self.rows if not _is(row, lost)]
        if lost.pulse is not None and not any(row["device"].startswith("pulse:") for row in rows):
            # What goes through the sound server went with it, or leads to what has just gone.
            rows = [row for row in rows if row["name"] not in SERVERS]
        return [row["device"] for row in rows]

    def described(self, used: Device) -> list[dict[str, Any]]:
        """Return device (to paste), name, and whether it is the one in use."""
        return [
            {"device": row["device"], "name": row["name"], "used": _is(row, used)}
            for row in self.rows
        ]

    async def end(self) -> None:
        """Wait for the last look to end."""
        await self._thread.end(lambda: None)

    def _listed(self) -> list[dict[str, Any]]:
        try:
            return listing(self._direction)
        except RtpipeError:  # whoever opens a device says why
            return []

    def _seen(self, looking: asyncio.Future[list[dict[str, Any]]]) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self.rows = looking.result()


def _is(row: dict[str, Any], device: Device) -> bool:
    if device.pulse is not None:
        return bool(row["device"] == str(device))
    return bool(row["name"] == device.name and not row["device"].startswith("pulse:"))
