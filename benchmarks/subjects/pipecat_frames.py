"""Pipecat in the same harness: a source that is fed, processors that push on, a sink that tells.

`bare` is what favours it most: no observers, no turn tracking, no RTVI, no sink for its log.
`defaults` is what its own examples make.
"""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

warnings.simplefilter("ignore")  # before the imports that warn

from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from benchmarks.subjects.measuring import main

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

logger.remove()
_SILENCE = bytes(1920)
BARE = {"idle_timeout_secs": None, "enable_turn_tracking": False, "enable_rtvi": False}


class PassOn(FrameProcessor):  # type: ignore[misc] # of a library without types
    """Hands its frame on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Push it."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Told(FrameProcessor):  # type: ignore[misc]
    """The sink."""

    def __init__(self, told: Callable[[Any], None]) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self._told = told

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell of audio; push on what else there is."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._told(frame)
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.started.set()


class Running:
    """A pipeline of Pipecat's that runs."""

    def __init__(self, processors: Sequence[FrameProcessor], sink: Told, **options: Any) -> None:
        self._worker = PipelineWorker(
            Pipeline([*processors, sink]),
            params=PipelineParams(audio_in_sample_rate=48_000, audio_out_sample_rate=48_000),
            cancel_on_idle_timeout=False,
            **options,
        )
        self._sink = sink

    async def start(self) -> None:
        """Start it; its sink has seen the start frame when this returns."""
        self._runner = WorkerRunner(handle_sigint=False)
        await self._runner.add_workers(self._worker)
        self._task = asyncio.create_task(self._runner.run())
        await asyncio.wait_for(self._sink.started.wait(), 20)

    async def close(self) -> None:
        """Cancel it."""
        await self._runner.cancel()
        with suppress(BaseException):
            await asyncio.wait_for(self._task, 10)


class Bare:
    """Without what can be switched off."""

    paces_itself = False
    feed: Callable[[Any], Awaitable[None]]
    options: ClassVar[dict[str, Any]] = BARE

    def __init__(self, stages: int, told: Callable[[Any], None]) -> None:
        self._stages = stages
        self._told = told

    async def start(self) -> None:
        """Start it."""
        source = PassOn()
        processors = [source, *(PassOn() for _ in range(self._stages))]
        self._running = Running(processors, Told(self._told), **self.options)
        await self._running.start()
        await asyncio.sleep(0.01)
        self.feed = source.push_frame

    async def close(self) -> None:
        """Cancel it."""
        await self._running.close()

    def frame(self, index: int) -> InputAudioRawFrame:  # noqa: ARG002 - it has no time
        """Return a frame."""
        return InputAudioRawFrame(audio=_SILENCE, sample_rate=48_000, num_channels=1)


class Defaults(Bare):
    """With what is on unless it is switched off."""

    options: ClassVar[dict[str, Any]] = {}


if __name__ == "__main__":
    main({"bare": Bare, "defaults": Defaults})
