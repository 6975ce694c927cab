"""A pipeline in a call to a foreign server: it asks, hears the answer, and says what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rtpipe
from rtpipe import Event, audio

RATE = 48_000
_FRAME = RATE // 50
_WITHIN_S = 60.0


class Kiosk:
    """Holds one conversation at a time; everything is judged by what it hears and publishes."""

    def __init__(self, pipeline: rtpipe.Pipeline, source: Any, sink: Any) -> None:
        self.events: list[Event] = []
        self.last_sound_at = 0.0
        """When the last audible sample was given out, by the event loop's clock."""
        self.answer_over_after_s: list[float] = []
        """For each answer, how long after its last sound it was said to be over."""
        self._pipeline = pipeline
        self._source, self._sink = source, sink
        self._speech = np.zeros(0, np.int16)
        self._heard: list[NDArray[np.int16]] = []
        self._news = asyncio.Condition()

    def count(self, kind: str) -> int:
        """Return how many events of a type there were."""
        return sum(event.type == kind for event in self.events)

    def said(self, kind: str) -> list[str]:
        """Return the texts of all transcripts of one side."""
        return [event.text for event in self.events if event.type == f"transcript.{kind}"]  # type: ignore[attr-defined]

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait for the n-th event of a type."""
        try:
            async with asyncio.timeout(_WITHIN_S), self._news:
                await self._news.wait_for(lambda: self.count(kind) >= count)
        except TimeoutError:
            raise AssertionError(f"no {kind} ({count}) in:\n{self.story()}") from None

    def story(self) -> str:
        """Return what happened, a line each."""
        told = [event for event in self.events if not event.type.endswith(".delta")]
        return "\n".join(f"{event.at:7.2f} {event.type}  {event.line() or ''}" for event in told)

    def ask(self, question: NDArray[np.int16]) -> None:
        """Begin to say a question."""
        self._speech = question

    def write(self, text: str) -> None:
        """Put a question in writing."""
        self._pipeline["realtime"].text(text)

    def take_heard(self) -> NDArray[np.int16]:
        """Return what was heard since the last time: mono, 16 kHz."""
        sound = np.concatenate(self._heard)
        self._heard.clear()
        return sound

    async def feed(self) -> None:
        """Be the microphone."""
        loop = asyncio.get_running_loop()
        due, pts = loop.time(), 0
        while True:
            piece, self._speech = self._speech[:_FRAME], self._speech[_FRAME:]
            samples = np.pad(piece, (0, _FRAME - len(piece)))
            self._source.push(audio.from_pcm(samples, sample_rate=RATE, pts=pts))
            pts += _FRAME
            due += 0.02
            await asyncio.sleep(due - loop.time())

    async def listen(self) -> None:
        """Be the loudspeaker."""
        loop = asyncio.get_running_loop()
        async for frame in self._sink:
            pcm = audio.pcm(frame)[:, 0]
            self._heard.append(pcm)
            if np.abs(pcm.astype(np.int32)).max(initial=0) >= audio.AUDIBLE:
                self.last_sound_at = loop.time()

    async def watch(self) -> None:
        """Take note of every event."""
        loop = asyncio.get_running_loop()
        async for event in self._pipeline.events("*"):
            if event.type == "transcript.assistant":
                self.answer_over_after_s.append(loop.time() - self.last_sound_at)
            async with self._news:
                self.events.append(event)
                self._news.notify_all()


@asynccontextmanager
async def calling(**realtime: Any) -> AsyncIterator[Kiosk]:
    """Be in a call with these options of the stage; hung up at the end of the block."""
    source = rtpipe.FrameSource(live=True, max_ms=1000)
    sink = rtpipe.FrameSink(accepts=rtpipe.AudioFormat(16_000, "mono", "s16"))
    stages = ["frame_source", {"realtime": realtime}, "frame_sink"]
    text = json.dumps({"version": 1, "stages": stages})
    async with rtpipe.loads(text, plugins=[source, sink]) as pipeline:
        kiosk = Kiosk(pipeline, source, sink)
        tasks = [asyncio.create_task(work()) for work in (kiosk.watch, kiosk.listen, kiosk.feed)]
        try:
            yield kiosk
        finally:
            tasks[-1].cancel()
            source.close()
    await asyncio.gather(*tasks, return_exceptions=True)
