"""rtpipe, by its public door: a source that is fed, transforms that hand on, a sink that tells.

`fused` is what a program gets that gives its frames by `rtpipe.FrameSource`, `unfused` the same
with `fuse: false`. `queue` has a source of its own that reads an `asyncio.Queue`, which costs a
wake-up that rtpipe has no hand in. `ticker` has a source without a clock of its own, which the
pipeline's clock paces, and `tone` the one that ships.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import rtpipe
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
_ENDS: dict[int, Any] = {}
"""The engines by the number that their pipelines know."""


class Fused:
    """A pipeline as a program gets it."""

    paces_itself = False
    fuse: ClassVar[str] = "true"
    source: ClassVar[str] = "frame_source"

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._stages = ["pass_on"] * stages
        self.told = told
        self._made = 0
        self._given = rtpipe.FrameSource(live=True)
        self.feed: Callable[[Any], Awaitable[None]] = self._given.send

    async def start(self) -> None:
        """Load it and let it run."""
        _ENDS[id(self)] = self
        lines = ["version: 1", f"fuse: {self.fuse}", "stages:"]
        ends = (self.source.format(id(self)), f"told: {id(self)}")
        lines += [f"  - {stage}" for stage in (ends[0], *self._stages, ends[1])]
        self._pipeline = rtpipe.loads("\n".join(lines), plugins=self.plugins())
        await self._pipeline.__aenter__()

    def plugins(self) -> list[object]:
        """Return the plugins whose kinds it is made of."""
        return [_PLUGIN, self._given]

    async def end(self) -> None:
        """End the stream."""
        self._given.close()

    async def close(self) -> None:
        """End the stream, and with it the pipeline."""
        await self.end()
        await self._pipeline.__aexit__(None, None, None)
        del _ENDS[id(self)]

    def frame(self, index: int) -> rtpipe.AudioFrame:  # noqa: ARG002 - what is measured begins anew
        """Return the next frame."""
        self._made += 1
        return audio.from_pcm(_SILENCE, sample_rate=48_000, pts=self._made * _SIZE)


class Unfused(Fused):
    """A queue and a task for each stage."""

    fuse = "false"


class ByQueue(Fused):
    """Fed by a queue of the program's own."""

    source = "fed: {}"

    async def start(self) -> None:
        """Load it and let it run."""
        self.queue: asyncio.Queue[Any] = asyncio.Queue(8)
        self.feed = self.queue.put
        await super().start()

    def plugins(self) -> list[object]:
        """Return the plugins whose kinds it is made of."""
        return [_PLUGIN]

    async def end(self) -> None:
        """End the stream."""
        await self.queue.put(None)


class Ticker(ByQueue):
    """Paced by the pipeline's clock."""

    paces_itself = True
    source = "paced"


class Tone(Ticker):
    """The source that ships, as GStreamer's audiotestsrc."""

    source = "tone: {{waveform: silence, realtime: true}}"


if __name__ == "__main__":
    main({"fused": Fused, "unfused": Unfused, "queue": ByQueue, "ticker": Ticker, "tone": Tone})
