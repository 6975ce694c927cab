"""An opened speaker and the ear in front of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.fake_sounddevice import SoundDevice
from rtpipe import AudioFrame
from rtpipe.testing import Bench
from rtpipe_plugins.sinks.speaker.stage import Speaker

BLOCK = 480


class Listener:
    """An opened speaker and the ear in front of it: the device takes 10 ms every 10 ms."""

    def __init__(self, bench: Bench, laptop: SoundDevice) -> None:
        self.bench = bench
        self.stage = bench.stage
        self.stream = laptop.streams[-1]
        self.blocks: list[NDArray[np.int16]] = []
        self.plays = True
        self.block, self.period_s = BLOCK, 0.01

    async def run_device(self) -> None:
        while True:
            await asyncio.sleep(self.period_s)
            if self.plays:
                self.blocks.append(self.stream.play(self.block))

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.blocks)

    @property
    def told(self) -> list[tuple[str, float]]:
        return [
            (event.type, next(iter(event.payload().values()))) for event in self.bench.run.events
        ]


@asynccontextmanager
async def listening(laptop: SoundDevice, **options: Any) -> AsyncIterator[Listener]:
    bench = Bench(Speaker, options)
    async with bench.opened():
        listener = Listener(bench, laptop)
        device = asyncio.create_task(listener.run_device())
        try:
            yield listener
        finally:
            device.cancel()


async def consume(listener: Listener, frames: list[AudioFrame]) -> None:
    for frame in frames:
        await listener.stage.consume(frame)


def sound(data: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return `data` without the silence around it."""
    loud = np.nonzero(data.any(axis=1))[0]
    return data[loud[0] : loud[-1] + 1]


async def stream(listener: Listener, frames: Iterable[AudioFrame], jitter_s: float = 0.0) -> None:
    """Let frames come live, each up to `jitter_s` late."""
    listener.bench.context.live = True
    loop, random = asyncio.get_running_loop(), np.random.default_rng(4)
    due = loop.time()
    for frame in frames:
        late_s = random.uniform(0, jitter_s) if jitter_s else 0.0
        await asyncio.sleep(max(0.0, due + late_s - loop.time()))
        await listener.stage.consume(frame)
        due += frame.samples / frame.sample_rate
