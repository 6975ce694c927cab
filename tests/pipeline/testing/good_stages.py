"""A stage of each kind that keeps what check_stage asks for."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtpipe import (
    AudioFormat,
    AudioFrame,
    Event,
    Link,
    Options,
    Peer,
    Send,
    Sink,
    Source,
    Subscriber,
    Transform,
    audio,
)
from rtpipe.testing import tone


class WobbleOptions(Options):
    """Wobble the volume."""

    hz: float = 5.0
    """How often a second."""


class Wobble(Transform[WobbleOptions]):
    """Wobbles the volume."""

    kind = "wobble"

    def process(self, frame: AudioFrame) -> AudioFrame:
        x = audio.samples(frame)
        assert frame.time is not None
        t = frame.time + np.arange(len(x))[:, None] / frame.sample_rate
        return audio.like(frame, x * (0.6 + 0.4 * np.sin(2 * np.pi * self.options.hz * t)))


@dataclass(frozen=True, kw_only=True)
class Counted(Event):
    """So many."""

    type: str = "count.counted"
    frames: int


class Count(Sink[Options]):
    """Counts frames."""

    kind = "count"
    accepts = AudioFormat(16_000, "mono", "s16")
    exact_ms = 20
    publishes = (Counted,)

    async def open(self) -> None:
        self.lengths: list[int] = []

    async def consume(self, frame: AudioFrame) -> None:
        self.lengths.append(frame.samples)

    async def drain(self) -> None:
        assert set(self.lengths) <= {320}
        self.ctx.publish(Counted(frames=len(self.lengths)))


class Beep(Source[Options]):
    """Beeps for five seconds, in real time."""

    kind = "beep"

    @classmethod
    def has_clock(cls, options: Options) -> bool:
        return True

    async def frames(self) -> Any:
        for n, frame in enumerate(tone(seconds=5, frame_ms=self.ctx.frame_ms)):
            await self.ctx.clock.sleep_until(n * self.ctx.frame_ms / 1000)
            yield frame


class Endless(Source[Options]):
    """As fast as it can, for ever: virtual time does not pass beside it."""

    kind = "endless"

    async def frames(self) -> Any:
        pts = 0
        while True:
            yield audio.silence(960, pts=pts)
            pts += 960


class Echo(Peer[Options]):
    """Says everything again."""

    kind = "echo"

    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await asyncio.sleep(0.02)
            await send(audio.copy(frame))


class Remember(Subscriber[Options]):
    """Remembers what it heard."""

    kind = "remember"
    heard: list[str]

    async def open(self) -> None:
        self.heard = []

    async def on_event(self, event: Event) -> None:
        self.heard.append(event.type)
        await asyncio.sleep(0.1)
