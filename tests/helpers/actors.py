"""Small stages that tests of the runtime play with, and how to run a YAML text made of them."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import rtpipe
from rtpipe import (
    AudioFormat,
    EnvironmentProblem,
    EventGlob,
    ExitCode,
    Link,
    Options,
    Peer,
    Send,
    Sink,
    Source,
    StageError,
    Subscriber,
    Transform,
    action,
    audio,
    hookimpl,
)
from rtpipe.audio import AudioFrame
from rtpipe.catalogue.plugins import Registry
from rtpipe.events import Event
from rtpipe.language.loading import from_text
from rtpipe.running.plan import BATCH_FRAME_MS
from rtpipe.running.runtime import Pipeline

BATCH = 48 * BATCH_FRAME_MS
"""Samples of a frame where nothing has a clock."""

heard: dict[str, list[NDArray[np.int16]]] = defaultdict(list)
lively: dict[str, list[bool]] = defaultdict(list)
diary: list[str] = []


class RampOptions(Options):
    main = "frames"
    frames: int = 10
    live: bool = False
    fail_at: int | None = None
    unplugged_at: int | None = None


class Ramp(Source[RampOptions]):
    """Frames whose samples count up from 0 (wrapping at 1000)."""

    kind = "ramp"
    opened: ClassVar[int] = 0

    @classmethod
    def has_clock(cls, options: RampOptions) -> bool:
        return options.live

    async def open(self) -> None:
        type(self).opened += 1
        diary.append(f"open {self.ctx.id}")

    async def close(self) -> None:
        diary.append(f"close {self.ctx.id}")

    async def frames(self) -> AsyncIterator[AudioFrame]:
        size = 48 * self.ctx.frame_ms
        start = self.ctx.clock.next_tick(self.ctx.frame_ms / 1000)
        for index in range(self.options.frames):
            if index == self.options.fail_at and type(self).opened == 1:
                raise OSError("the cable is loose")
            if index == self.options.unplugged_at:
                raise EnvironmentProblem("the cable is out")
            if self.options.live:
                await self.ctx.clock.sleep_until(start + index * self.ctx.frame_ms / 1000)
            data = np.arange(index * size, (index + 1) * size, dtype=np.int64) % 1000
            yield audio.from_pcm(data.astype(np.int16), sample_rate=48_000, pts=index * size)


class FaultOptions(Options):
    main = "at"
    at: int = 3
    times: int = 1
    always: bool = False
    open_fails: bool = False
    for_good: bool = False


class Fault(Transform[FaultOptions]):
    """Passes frames on; raises on the `at`-th, in the first `times` instances."""

    kind = "fault"
    instances: ClassVar[int] = 0

    async def open(self) -> None:
        type(self).instances += 1
        if self.options.open_fails and self.instances > 1:
            raise EnvironmentProblem("no such thing here any more", help="buy one")
        self._count = 0

    def process(self, frame: AudioFrame) -> AudioFrame:
        self._count += 1
        due = self._count == self.options.at or (self.options.always and self._count > 1)
        if due and self.options.for_good:
            raise StageError("not for you", exit_code=ExitCode.NO_PERMISSION)
        if due and self.instances <= self.options.times:
            raise ValueError("bad luck with sk-secret-1")
        return frame


class Plus(Transform[FaultOptions]):
    """Adds `at` in place."""

    kind = "plus"
    mutates = True

    def process(self, frame: AudioFrame) -> AudioFrame:
        view = audio.pcm(frame)
        view += self.options.at
        return frame


class Twice(Transform[FaultOptions]):
    """Gives each frame in two halves, and one frame of 7s at the end."""

    kind = "twice"

    def process(self, frame: AudioFrame) -> list[AudioFrame]:
        data = audio.pcm(frame)[:, 0]
        half = len(data) // 2
        pts = frame.pts or 0
        self._end = pts + len(data)
        return [
            audio.from_pcm(data[:half], sample_rate=48_000, pts=pts),
            audio.from_pcm(data[half:], sample_rate=48_000, pts=pts + half),
        ]

    def finish(self) -> AudioFrame:
        return audio.from_pcm(np.full(960, 7, np.int16), sample_rate=48_000, pts=self._end)


class Weave(Transform[FaultOptions]):
    """Adds its inlets, frame by frame, and hears what `collect` takes."""

    kind = "weave"
    many_inlets = True

    async def open(self) -> None:
        self._held: dict[int, list[AudioFrame]] = defaultdict(list)
        self.ctx.tap("collect", lambda frame: diary.append(f"tapped {frame.samples}"))

    def process_at(self, frame: AudioFrame, inlet: int) -> list[AudioFrame]:
        self._held[inlet].append(frame)
        made = []
        while self._held[0] and self._held[1]:
            one, two = self._held[0].pop(0), self._held[1].pop(0)
            total = (audio.pcm(one) + audio.pcm(two))[:, 0]
            made.append(audio.from_pcm(total, sample_rate=48_000, pts=one.pts or 0))
        return made

    def ended_at(self, inlet: int) -> None:
        diary.append(f"inlet {inlet} ended")

    def finish(self) -> None:
        diary.append("finished")


class CollectOptions(Options):
    main = "delay_s"
    delay_s: float = 0.0
    noted_on: tuple[EventGlob, ...] = ()
    fail_at: int | None = None
    unplugged_at: int | None = None
    absent: bool = False
    stuck: bool = False
    opens_in_s: float = 0.0


class Collect(Sink[CollectOptions]):
    """Keeps what it hears in `heard[id]`, and whether that was live in `lively[id]`."""

    kind = "collect"
    count = 0

    async def open(self) -> None:
        if self.options.absent:
            raise EnvironmentProblem("no sound card", help="plug one in")
        await asyncio.sleep(self.options.opens_in_s)
        diary.append(f"open {self.ctx.id}")

    async def close(self) -> None:
        diary.append(f"close {self.ctx.id}")

    async def consume(self, frame: AudioFrame) -> None:
        self.count += 1
        if self.count == self.options.fail_at:
            raise OSError("disk full")
        if self.count == self.options.unplugged_at:
            raise EnvironmentProblem("the cable is out")
        if self.options.stuck:
            await asyncio.Event().wait()
        if self.options.delay_s:
            await asyncio.sleep(self.options.delay_s)
        heard[self.ctx.id].append(audio.pcm(frame)[:, 0].copy())
        lively[self.ctx.id].append(self.ctx.live)

    @action
    def note(self, text: str = "noted") -> None:
        """Write into the diary."""
        diary.append(text)

    @action
    def trip(self) -> None:
        """Raise."""
        raise RuntimeError("tripped")


class Narrow(Collect):
    """A `collect` that takes 16 kHz only."""

    kind = "narrow"
    accepts = AudioFormat(16_000, "mono", "s16")


class Ponder(Transform[CollectOptions]):
    """Passes frames on from a thread."""

    kind = "ponder"
    blocking = True

    async def open(self) -> None:
        if self.options.absent:
            raise EnvironmentProblem("no model")

    def process(self, frame: AudioFrame) -> AudioFrame:
        diary.append(threading.current_thread().name)
        return frame


class Gather(Collect):
    """A sink with many inlets; `heard['id/0']`, `heard['id/1']`."""

    kind = "gather"
    many_inlets = True
    flushable = False

    async def consume_at(self, frame: AudioFrame, inlet: int) -> None:
        heard[f"{self.ctx.id}/{inlet}"].append(audio.pcm(frame)[:, 0].copy())


class Echo(Peer[CollectOptions]):
    """Gives back what it hears, negated, and 3 frames of 5s after the inlet's end."""

    kind = "echo"

    @classmethod
    def has_clock(cls, options: CollectOptions) -> bool:
        return True

    async def converse(self, inlet: Link, send: Send) -> None:
        pts = 0

        async def say(data: NDArray[np.int16]) -> None:
            nonlocal pts
            await send(audio.from_pcm(data, sample_rate=48_000, pts=pts))
            pts += len(data)
            await asyncio.sleep(len(data) / 48_000)

        async for frame in inlet:
            await say(-audio.pcm(frame)[:, 0])
        if self.options.stuck:
            await asyncio.Event().wait()
        for _ in range(3):
            await say(np.full(960, 5, np.int16))

    @action
    def hush(self) -> None:
        """Take back what was said and nobody has heard."""
        diary.append(f"hushed {self.ctx.flush_after():g}")


class Ear(Subscriber[CollectOptions]):
    """Writes event types into the diary."""

    kind = "ear"

    async def on_event(self, event: Event) -> None:
        if self.options.fail_at is not None:
            raise OSError("deaf")
        await asyncio.sleep(self.options.delay_s)
        diary.append(event.type)


class Bell(Subscriber[CollectOptions]):
    """Rings when it is opened, and when it is closed."""

    kind = "bell"
    hears = False
    publishes = ("bell.*",)

    async def open(self) -> None:
        if self.options.fail_at is not None:
            raise EnvironmentProblem("no clapper")
        self.ctx.publish(Event(type="bell.opened"))

    async def close(self) -> None:
        self.ctx.publish(Event(type="bell.closed"))


class Actors:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Ramp, Fault, Plus, Twice, Weave, Ponder, Collect, Narrow, Gather, Echo, Ear, Bell]


def registry() -> Registry:
    made = Registry()
    made.register(Actors())
    return made


def loads(text: str, *plugins: Any, **choices: Any) -> Pipeline:
    """Load a text as a program does, with `plugins` besides."""
    return rtpipe.loads(text, plugins=[Actors(), *plugins], check=True, **choices)


class Played:
    """What came of one run."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.pipeline: Pipeline | None = None

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def of(self, event_type: str) -> list[Event]:
        return [event for event in self.events if event.type == event_type]


async def play(
    text: str, *, meanwhile: Any = None, secrets: frozenset[str] = frozenset()
) -> Played:
    """Run the YAML `text` to its end; `meanwhile(pipeline)` runs beside it."""
    heard.clear()
    lively.clear()
    diary.clear()
    Ramp.opened = 0
    Fault.instances = 0
    played = Played()
    graph = from_text(f"version: 1\n{text}", registry=registry()).graph
    if secrets:
        object.__setattr__(graph.pipeline, "secrets", secrets)
    pipeline = Pipeline(graph, check=True)
    played.pipeline = pipeline
    pipeline.bus.subscribe("*", played.events.append)
    beside = asyncio.ensure_future(meanwhile(pipeline)) if meanwhile else None
    try:
        await pipeline.run()
    except Exception as error:  # noqa: BLE001 - what it is, the test says
        played.error = error
    if beside is not None:
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    return played


def whole(id: str) -> NDArray[np.int16]:
    """Return everything a `collect` heard."""
    return np.concatenate(heard[id]) if heard[id] else np.zeros(0, np.int16)
