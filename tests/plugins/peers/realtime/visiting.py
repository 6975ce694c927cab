"""A stage in a call with whatever far end a test has."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import numpy as np

from rtpipe import audio
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions

KEY = "sk-canary-0123456789"
FORGED = ("recorder.failed", "device.lost", "level", "mqtt.connected", "file_sink.closed")
"""Events of ours that no server may publish."""


class Visit:
    """A stage in a call, its inlet, and what it sends on."""

    options_type = RealtimeOptions

    def __init__(self, far_end: Any, ctx: Any, inlet: Any, **options: Any) -> None:
        settings = {"base_url": far_end.base_url, "api_key": KEY} | options
        self.stage = Realtime(self.options_type(**settings), ctx)
        self.inlet = inlet
        self.frames: list[Any] = []
        self._talking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.gather(self._talking, return_exceptions=True)
        await self.stage.close()
        await self.stage.close()

    async def begin(self) -> None:
        await self.stage.open()
        self._talking = asyncio.create_task(self.stage.converse(self.inlet, self._send))

    async def over(self, timeout_s: float = 30.0) -> None:
        """Wait until `converse` returns; raises what it raises."""
        assert self._talking is not None
        async with asyncio.timeout(timeout_s):
            await self._talking

    async def _send(self, frame: Any) -> None:
        self.frames.append(frame)

    def pcm(self) -> np.ndarray:
        """Return what was heard, each frame in its place."""
        heard = np.zeros(self.frames[-1].pts + self.frames[-1].samples, np.int16)
        for frame in self.frames:
            heard[frame.pts : frame.pts + frame.samples] = audio.pcm(frame)[:, 0]
        return heard
