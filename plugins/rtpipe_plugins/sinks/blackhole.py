"""`blackhole`: the end of a pipeline whose audio nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import Options, Sink, audio
from rtpipe_plugins.sound.pacing import Pacer

if TYPE_CHECKING:
    from rtpipe import AudioFrame


class BlackholeOptions(Options):
    """A sink for nothing."""

    realtime: bool = False
    """Swallow no faster than a speaker would play; then it paces what feeds it."""


class Blackhole(Sink[BlackholeOptions]):
    """Swallows audio and counts it.

    Attributes:
        frames: How many frames it swallowed.
        duration_ms: How much audio that was.

    - blackhole
    """

    kind = "blackhole"

    @classmethod
    def has_clock(cls, options: BlackholeOptions) -> bool:
        """Return whether it paces what feeds it."""
        return options.realtime

    async def open(self) -> None:
        """Begin to count."""
        self.frames = 0
        self.duration_ms = 0.0
        self._pacer = Pacer(self.ctx) if self.options.realtime else None

    async def consume(self, frame: AudioFrame) -> None:
        """Swallow `frame`, when its time has come."""
        if self._pacer is not None:
            await self._pacer.wait(frame)
        self.frames += 1
        self.duration_ms += audio.duration_ms(frame)

    async def drain(self) -> None:
        """Say how much it was."""
        s = "s"[: self.frames != 1]
        self.ctx.log.info("swallowed %d frame%s, %.2f s", self.frames, s, self.duration_ms / 1000)
