"""The floor: what Python allows, with nothing around it. No formats, errors, events, statistics.

`fused`: a task takes frames from a channel and calls the stages in a loop. `queued`: an
`asyncio.Queue` and a task for each stage, as one would write it first. `timer`: one timer for all
pipelines calls the stages itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import av

from benchmarks.subjects.channel import Channel
from benchmarks.subjects.measuring import PERIOD_S, main

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_END = object()
_SIZE = 960


def frame_at(index: int) -> av.AudioFrame:
    """Return 20 ms of whatever was in memory."""
    frame = av.AudioFrame(format="s16", layout="mono", samples=_SIZE)
    frame.sample_rate = 48_000
    frame.pts = index * _SIZE
    frame.time_base = Fraction(1, 48_000)
    return frame


def _pass_on(_: int) -> Callable[[Any], Any]:
    return lambda frame: frame


class Fused:
    """A channel, and a task that calls the stages."""

    paces_itself = False
    feed: Callable[[Any], Awaitable[None]]

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._stages = [_pass_on(place) for place in range(stages)]
        self._told = told

    async def start(self) -> None:
        """Start the task."""
        self._channel = Channel()
        self.feed = self._channel.put
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        get, stages, told = self._channel.get, self._stages, self._told
        while (frame := await get()) is not _END:
            for stage in stages:
                frame = stage(frame)
                if frame is None:
                    break
            else:
                told(frame)

    async def close(self) -> None:
        """End the task."""
        await self._channel.put(_END)
        await self._task

    def frame(self, index: int) -> av.AudioFrame:
        """Return the `index`-th frame."""
        return frame_at(index)


class Queued:
    """An `asyncio.Queue` and a task for each stage."""

    paces_itself = False
    feed: Callable[[Any], Awaitable[None]]

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._count = stages
        self._told = told

    async def start(self) -> None:
        """Start the tasks."""
        queues: list[asyncio.Queue[Any]] = [asyncio.Queue(8) for _ in range(self._count + 1)]
        pairs = pairwise(queues)
        self._tasks = [
            asyncio.create_task(self._stage(_pass_on(place), *pair))
            for place, pair in enumerate(pairs)
        ]
        self._tasks.append(asyncio.create_task(self._sink(queues[-1])))
        self._queue = queues[0]
        self.feed = self._queue.put

    async def _stage(
        self, stage: Callable[[Any], Any], before: asyncio.Queue[Any], after: asyncio.Queue[Any]
    ) -> None:
        while (frame := await before.get()) is not _END:
            await after.put(stage(frame))
        await after.put(_END)

    async def _sink(self, before: asyncio.Queue[Any]) -> None:
        while (frame := await before.get()) is not _END:
            self._told(frame)

    async def close(self) -> None:
        """End the tasks."""
        await self._queue.put(_END)
        await asyncio.gather(*self._tasks)

    def frame(self, index: int) -> av.AudioFrame:
        """Return the `index`-th frame."""
        return frame_at(index)


class OneTimer(Fused):
    """Stages that the one timer of all pipelines calls."""

    paces_itself = True
    _all: ClassVar[list[OneTimer]] = []
    _timer: ClassVar[asyncio.Task[None] | None] = None

    async def start(self) -> None:
        """Join the others; the first one starts the timer."""
        self._all.append(self)
        if len(self._all) == 1:
            OneTimer._timer = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        index = 0
        while True:
            due += PERIOD_S
            index += 1
            await asyncio.sleep(due - loop.time())
            for pipeline in self._all:
                frame: Any = frame_at(index)
                for stage in pipeline._stages:  # noqa: SLF001 - of its own kind
                    frame = stage(frame)
                    if frame is None:
                        break
                else:
                    pipeline._told(frame)  # noqa: SLF001

    async def close(self) -> None:
        """Leave; the last one stops the timer."""
        self._all.remove(self)
        if not self._all and OneTimer._timer is not None:
            OneTimer._timer.cancel()
            with suppress(asyncio.CancelledError):
                await OneTimer._timer


if __name__ == "__main__":
    main({"fused": Fused, "queued": Queued, "timer": OneTimer})
