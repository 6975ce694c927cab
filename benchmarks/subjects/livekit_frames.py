"""LiveKit's two ways to hand on frames: its channel with a task a stage, and generators as nodes.

`channels`: `livekit.agents.utils.aio.Chan`, as between its plugins. `nodes`: async generators
chained one behind the other, as the nodes of its agents.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.agents.utils.aio import Chan

from benchmarks.subjects.measuring import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

_SILENCE = bytes(1920)


async def _node(before: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for frame in before:
        yield frame


class Nodes:
    """A channel, then generators, read by one task."""

    paces_itself = False
    feed: Callable[[Any], Awaitable[None]]

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._stages = stages
        self._told = told

    async def start(self) -> None:
        """Start the task."""
        self._first: Chan[Any] = Chan(8)
        stream: AsyncIterable[Any] = self._first
        for _ in range(self._stages):
            stream = _node(stream)
        self._tasks = [asyncio.create_task(self._sink(stream))]
        self.feed = self._first.send

    async def _sink(self, stream: AsyncIterable[Any]) -> None:
        async for frame in stream:
            self._told(frame)

    async def close(self) -> None:
        """End the tasks."""
        self._first.close()
        await asyncio.gather(*self._tasks)

    def frame(self, index: int) -> rtc.AudioFrame:  # noqa: ARG002 - it has no time
        """Return a frame."""
        return rtc.AudioFrame(_SILENCE, 48_000, 1, 960)


class Channels(Nodes):
    """A channel and a task for each stage."""

    async def start(self) -> None:
        """Start the tasks."""
        channels: list[Chan[Any]] = [Chan(8) for _ in range(self._stages + 1)]
        pairs = pairwise(channels)
        self._tasks = [asyncio.create_task(self._stage(*pair)) for pair in pairs]
        self._tasks.append(asyncio.create_task(self._sink(channels[-1])))
        self._first = channels[0]
        self.feed = self._first.send

    async def _stage(self, before: Chan[Any], after: Chan[Any]) -> None:
        async for frame in before:
            await after.send(frame)
        after.close()


if __name__ == "__main__":
    main({"channels": Channels, "nodes": Nodes})
