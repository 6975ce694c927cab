"""rtpipe, by its public door: a source that is fed, transforms that hand on, a sink that tells.

`fused` is what a user gets, `queued` the same with `fuse: false`. Both are fed by an
`asyncio.Queue`, as a program would; `channel` by the channel of the floor. `ticker` has a source
without a clock of its own, which the pipeline's clock paces, and `tone` the one that ships.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import rtpipe
from benchmarks.subjects.channel import Channel
from benchmarks.subjects.measuring import PERIOD_S, main
from rtpipe import Options, Sink, Source, Transform, audio, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_SIZE = 960
_SILENCE = np.zeros(_SIZE, np.int16)


class PassOn(Transform[Options]):
    """Hands its frame on."""

    kind = "pass_on"

    def process(self, frame: rtpipe.AudioFrame) -> rtpipe.AudioFrame:
        """Return the frame."""
        return frame


class Paced(Source[Options]):
    """A frame of silence every 20 ms, by the pipeline's clock."""

    kind = "paced"

    @classmethod
    def has_clock(cls, options: Options) -> bool:  # noqa: ARG003 - the hook's form
        """Return that it is live."""
        return True

    async def frames(self) -> AsyncIterator[rtpipe.AudioFrame]:
        """Yield the frames."""
        begin = self.ctx.clock.next_tick(PERIOD_S)
        index = 0
        while not self.ctx.stopping:
            await self.ctx.clock.sleep_until(begin + index * PERIOD_S)
            yield audio.from_pcm(_SILENCE, sample_rate=48_000, pts=index * _SIZE)
            index += 1


class EndOptions(Options):
    """Which pipeline it is in."""

    main: ClassVar[str | None] = "pipeline"

    pipeline: int


class Fed(Source[EndOptions]):
    """Gives out what its pipeline is fed."""

    kind = "fed"

    @classmethod
    def has_clock(cls, options: EndOptions) -> bool:  # noqa: ARG003 - the hook's form
        """Return that it is live."""
        return True

    async def frames(self) -> AsyncIterator[rtpipe.AudioFrame]:
        """Yield the frames, until there is None."""
        queue = _ENDS[self.options.pipeline].queue
        while (frame := await queue.get()) is not None:
            yield frame


class Told(Sink[EndOptions]):
    """Tells of every frame."""

    kind = "told"

    async def open(self) -> None:
        """Look up who is told."""
        self._told = _ENDS[self.options.pipeline].told

    async def consume(self, frame: rtpipe.AudioFrame) -> None:
        """Tell."""
        self._told(frame)


class Kinds:
    """The plugin of all pipelines here."""

    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        """Return the kinds."""
        return [Fed, Told, PassOn, Paced]


_PLUGIN = Kinds()
_ENDS: dict[int, Fused] = {}
"""The engines by the number that their pipelines know."""


class Fused:
    """A pipeline as a user gets it."""

    paces_itself = False
    feed: Callable[[Any], Awaitable[None]]
    fuse: ClassVar[str] = "true"
    source: ClassVar[str] = "fed: {}"
    channel: ClassVar[Callable[[int], Any]] = asyncio.Queue

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._stages = ["pass_on"] * stages
        self.told = told

    async def start(self) -> None:
        """Load it and let it run."""
        self.queue = type(self).channel(8)
        self.feed = self.queue.put
        _ENDS[id(self)] = self
        lines = ["version: 1", f"fuse: {self.fuse}", "stages:"]
        ends = (self.source.format(id(self)), f"told: {id(self)}")
        lines += [f"  - {stage}" for stage in (ends[0], *self._stages, ends[1])]
        self._pipeline = rtpipe.loads("\n".join(lines), plugins=[_PLUGIN])
        await self._pipeline.__aenter__()

    async def close(self) -> None:
        """End the stream, and with it the pipeline."""
        await self.queue.put(None)
        await self._pipeline.__aexit__(None, None, None)
        del _ENDS[id(self)]

    def frame(self, index: int) -> rtpipe.AudioFrame:
        """Return the `index`-th frame."""
        return audio.from_pcm(_SILENCE, sample_rate=48_000, pts=index * _SIZE)


class Queued(Fused):
    """A queue and a task for each stage."""

    fuse = "false"


class ByChannel(Fused):
    """Fed as the floor is."""

    channel = Channel


class Ticker(Fused):
    """Paced by the pipeline's clock."""

    paces_itself = True
    source = "paced"


class Tone(Ticker):
    """The source that ships, as GStreamer's audiotestsrc."""

    source = "tone: {{waveform: silence, realtime: true}}"


if __name__ == "__main__":
    main({"fused": Fused, "queued": Queued, "channel": ByChannel, "ticker": Ticker, "tone": Tone})
