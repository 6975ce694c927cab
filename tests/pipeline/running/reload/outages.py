"""Devices that are away at times, and a pipeline of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import numpy as np

from helpers.actors import diary, heard, loads, whole
from rtpipe import (
    EnvironmentProblem,
    Event,
    Link,
    Options,
    Peer,
    Pipeline,
    Send,
    Sink,
    Source,
    Subscriber,
    Transform,
    audio,
    hookimpl,
)
from rtpipe.audio import AudioFrame
from rtpipe.testing import run_virtual


class Cable:
    """Whether there is a device, by the pipeline's time: each pair of seconds is an outage."""

    out: ClassVar[list[tuple[float, float]]] = []
    opened: ClassVar[list[tuple[str, float]]] = []

    @classmethod
    def require(cls, now: float) -> None:
        if any(begin <= now < end for begin, end in cls.out):
            raise EnvironmentProblem("no cable")


class DeviceOptions(Options):
    main = "mark"
    mark: int = 1
    """What its samples are, or how it signs what it takes."""
    wired: bool = True
    holds: str = ""


class Device(Source[DeviceOptions]):
    """Gives `mark`, 50 frames in a second, as long as the cable is in."""

    kind = "device"

    @classmethod
    def has_clock(cls, options: DeviceOptions) -> bool:
        return True

    @classmethod
    def claims(cls, options: DeviceOptions) -> str | None:
        return options.holds or None

    async def open(self) -> None:
        if self.options.wired:
            Cable.opened.append((self.ctx.id, self.ctx.now()))
            Cable.require(self.ctx.now())

    async def close(self) -> None:
        diary.append(f"close {self.options.mark}")

    async def frames(self) -> AsyncIterator[AudioFrame]:
        start = at = self.ctx.clock.next_tick(0.02)
        while True:
            await self.ctx.clock.sleep_until(at + 0.02)
            if self.options.wired:
                Cable.require(self.ctx.now())
            data = np.full(960, self.options.mark, np.int16)
            yield audio.from_pcm(data, sample_rate=48_000, pts=round((at - start) * 48_000))
            at += 0.02


class Player(Sink[DeviceOptions]):
    """Takes frames into `heard[mark]` as long as the cable is in."""

    kind = "player"

    async def open(self) -> None:
        if self.options.wired:
            Cable.require(self.ctx.now())

    async def consume(self, frame: AudioFrame) -> None:
        if self.options.wired:
            Cable.require(self.ctx.now())
        heard[f"{self.options.mark}"].append(audio.pcm(frame)[:, 0].copy())

    async def drain(self) -> None:
        diary.append(f"drained {self.options.mark}")


class Sign(Transform[DeviceOptions]):
    """Gives `mark` for what it hears."""

    kind = "sign"

    async def open(self) -> None:
        if self.options.wired:
            Cable.require(self.ctx.now())

    def process(self, frame: AudioFrame) -> AudioFrame:
        if self.options.wired:
            Cable.require(self.ctx.now())
        data = np.full(frame.samples, self.options.mark, np.int16)
        return audio.from_pcm(data, sample_rate=48_000, pts=frame.pts or 0)


class Host(Peer[DeviceOptions]):
    """Answers each frame with `mark`."""

    kind = "host"

    async def open(self) -> None:
        if self.options.wired:
            Cable.require(self.ctx.now())
            diary.append(f"call {self.ctx.now():.0f}")

    async def converse(self, inlet: Link, send: Send) -> None:
        pts = 0
        async for _ in inlet:
            data = np.full(960, self.options.mark, np.int16)
            await send(audio.from_pcm(data, sample_rate=48_000, pts=pts))
            pts += 960


class Lamp(Subscriber[DeviceOptions]):
    """Writes into the diary what it hears, signed."""

    kind = "lamp"

    async def open(self) -> None:
        if self.options.wired:
            Cable.require(self.ctx.now())

    async def on_event(self, event: Event) -> None:
        diary.append(f"{self.options.mark} {event.type}")


class Devices:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Device, Player, Sign, Host, Lamp]


MIC = """
version: 1
stages:
  - device: 1
    fallback: {device: {mark: 2, wired: false}, return_after_s: 30}
  - collect
"""


def run(
    text: str,
    lasts_s: float,
    *out: tuple[float, float],
    meanwhile: Callable[[Pipeline], Any] | None = None,
) -> list[Event]:
    """Run `text` for some seconds during which the cable is out at times; return the events.

    What was lost stands in `heard["lost"]`, a frame each.
    """
    heard.clear()
    diary.clear()
    Cable.out, Cable.opened = list(out), []
    events: list[Event] = []

    async def play() -> None:
        pipeline = loads(text, Devices())
        pipeline.bus.subscribe("*", events.append)
        async with pipeline:
            beside = asyncio.ensure_future(meanwhile(pipeline)) if meanwhile else None
            await asyncio.sleep(lasts_s - pipeline.clock.now())
            if beside is not None:
                await beside
        heard["lost"] = [np.zeros(960, np.int16)] * sum(s.lost_frames for s in pipeline.state())

    run_virtual(play())
    return events


def of(events: list[Event], type: str) -> list[Any]:
    return [event for event in events if event.type == type]


def marks(id: str = "collect") -> list[int]:
    """Return whose frames were heard, one after the other."""
    samples = whole(id)
    return [int(samples[0]), *(int(samples[i + 1]) for i in np.flatnonzero(np.diff(samples)))]
