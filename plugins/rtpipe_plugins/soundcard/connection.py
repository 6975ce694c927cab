"""One opening of a device: whether its audio flows, and whether it has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from rtpipe_plugins.soundcard.portaudio import Device, Direction


class Stream(Protocol):
    """What a stage makes of an open device."""

    def close(self) -> None:
        """Let go of the device; blocking."""


S = TypeVar("S", bound=Stream)


class Connection(Generic[S]):
    """A device that is being opened, is open, or was.

    Args:
        wanted: What it was asked for by.
        direction: Which way its audio goes.
        holder: The stage's id.
        place: The same for all stages of one pipeline, and for no other.
    """

    device: Device
    """Which one it is; once it is open."""

    def __init__(self, wanted: str, direction: Direction, holder: str, place: object) -> None:
        self.wanted = wanted
        self.direction = direction
        self.holder = holder
        self.place = place
        self.stream: S | None = None
        """What the stage made of it, while it is open."""
        self.beats = 0
        self.ended = asyncio.Event()
        self.given_up = False
        """Whether nobody wants it any more."""
        self._loop = asyncio.get_running_loop()

    def beat(self) -> None:
        """Say that the device has given or taken audio; in any thread."""
        self.beats += 1

    def finished(self) -> None:
        """Say that the stream has ended; in any thread."""
        self._loop.call_soon_threadsafe(self.ended.set)

    def is_rival(self, other: Connection[S], device: Device) -> bool:
        """Return whether this is another stage's of the pipeline and holds what `other` wants."""
        return (
            self.holder != other.holder
            and self.place is other.place
            and self.direction == other.direction
            and str(self.device) == str(device)
        )
