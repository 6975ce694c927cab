"""Interruptions and tools in a real call over loopback; the far end only does as it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from rtpipe import Bus, Clock, Event, StageContext, audio
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions

pytestmark = pytest.mark.slow

OLD_HZ, NEW_HZ = 400.0, 1000.0
RATE = 48_000


class Visit:
    """A stage in a call, what it sends on and how often it has what is behind it flushed."""

    def __init__(self, answerer: Any, bus: Bus, inlet: Any, **options: Any) -> None:
        self.answerer = answerer
        self.frames: list[Any] = []
        self.flushes = 0
        self._news = asyncio.Event()
        ctx = StageContext("realtime", Clock(), bus.publish, bus.subscribe, flush_after=self._flush)
        settings = {"base_url": answerer.base_url, "api_key": "sk-test-0123456789", **options}
        here = {"folder": Path(__file__).parents[2]}
        self.stage = Realtime(RealtimeOptions.model_validate(settings, context=here), ctx)
        self._inlet = inlet
        self._talking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.stage.open()
        self._talking = asyncio.create_task(self.stage.converse(self._inlet, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._talking is not None
        self._talking.cancel()
        await asyncio.gather(self._talking, return_exceptions=True)
        await self.stage.close()

    def _flush(self, _: str) -> float:
        self.flushes += 1
        return 0.0

    async def _send(self, frame: Any) -> None:
        self.frames.append(frame)
        self._news.set()

    def say(self, *events: dict[str, Any]) -> None:
        """Have the server say something."""
        for event in events:
            self.answerer.send(event)

    def play(self, hz: float, seconds: float) -> None:
        """Have the server play a tone."""
        t = np.arange(round(seconds * RATE)) / RATE
        tone = np.rint(np.sin(2 * np.pi * hz * t) * 8000).astype(np.int16)
        for start in range(0, len(tone) - 959, 960):
            stereo = np.repeat(tone[start : start + 960, None], 2, axis=1)
            self.answerer.track.waiting.append(audio.from_pcm(stereo, sample_rate=RATE, pts=0))

    def heard(self, hz: float) -> list[int]:
        """Return the numbers of the frames in which a tone is heard."""
        return [n for n, frame in enumerate(self.frames) if _sounds(frame, hz)]

    async def hears(self, hz: float, frames: int) -> None:
        async with asyncio.timeout(20):
            while len(self.heard(hz)) < frames:
                self._news.clear()
                await self._news.wait()


def _sounds(frame: Any, hz: float) -> bool:
    pcm = audio.pcm(frame)[:, 0].astype(float)
    t = (np.arange(len(pcm)) + 0.5) / RATE
    return bool(abs(np.mean(pcm * np.exp(-2j * np.pi * hz * t))) > 1000)


def begins(id: str) -> list[dict[str, Any]]:
    return [
        {"type": "response.created", "response": {"id": id}},
        {"type": "output_audio_buffer.started", "response_id": id},
    ]


def seconds_of(frames: list[Any], numbers: list[int]) -> float:
    return sum(float(frames[n].samples) for n in numbers) / RATE


async def test_a_barge_in_lets_nothing_stale_through_and_all_of_the_next_answer(
    answerer: Any, bus: Bus, published: Any, patient_link: Any
) -> None:
    """Check 20: the audio that the server has sent before it heard the visitor still arrives."""
    async with Visit(answerer, bus, patient_link) as visit:
        visit.say(*begins("old"))
        visit.play(OLD_HZ, 3.0)
        await visit.hears(OLD_HZ, 10)
        visit.say({"type": "input_audio_buffer.speech_started", "item_id": "u"})
        await published.wait_for("input_audio_buffer.speech_started")
        interrupted = len(visit.frames)
        assert visit.flushes == 1
        assert answerer.commands == []  # it said so itself
        await asyncio.sleep(0.4)  # the old voice still comes
        answerer.track.waiting.clear()
        visit.say(
            {"type": "output_audio_buffer.cleared", "response_id": "old"},
            {"type": "response.done", "response": {"id": "old", "status": "cancelled"}},
        )
        await asyncio.sleep(0.4)
        visit.say(*begins("new"))
        visit.play(NEW_HZ, 0.6)
        await visit.hears(NEW_HZ, 25)
        await asyncio.sleep(0.3)
        assert not [number for number in visit.heard(OLD_HZ) if number >= interrupted]
        new = visit.heard(NEW_HZ)
        assert seconds_of(visit.frames, new) == pytest.approx(0.6, abs=0.06)
        names = {audio.meta(visit.frames[number]).extra["response_id"] for number in new}
        assert names == {"new"}


async def test_a_local_event_silences_the_model_and_the_server_is_told(
    answerer: Any, bus: Bus, patient_link: Any
) -> None:
    async with Visit(answerer, bus, patient_link, interrupt_on="vad.speech_started") as visit:
        bus.publish(Event(type="vad.speech_started", source="vad"))
        assert visit.flushes == 0
        visit.say(*begins("old"))
        visit.play(OLD_HZ, 3.0)
        await visit.hears(OLD_HZ, 10)
        bus.publish(Event(type="vad.speech_started", source="vad"))
        interrupted = len(visit.frames)
        assert visit.flushes == 1
        await answerer.received("output_audio_buffer.clear")
        sent = [command["type"] for command in answerer.commands]
        assert sent == ["response.cancel", "output_audio_buffer.clear"]
        await asyncio.sleep(0.4)
        assert not [number for number in visit.heard(OLD_HZ) if number >= interrupted]


async def test_the_model_calls_a_function_and_is_told_what_came_of_it(
    answerer: Any, bus: Bus, published: Any, patient_link: Any
) -> None:
    tools = [{"python": "tool_box:opening_hours"}]
    call = {
        "type": "function_call",
        "id": "item_1",
        "call_id": "call_1",
        "name": "opening_hours",
        "arguments": '{"day": "Monday"}',
    }
    async with Visit(answerer, bus, patient_link, tools=tools) as visit:
        done = {"id": "a", "status": "completed", "output": [call]}
        visit.say(
            {"type": "response.created", "response": {"id": "a"}},
            {"type": "response.done", "response": done},
        )
        await answerer.received("response.create")
        output, create = answerer.commands
        assert output["item"]["call_id"] == "call_1"
        assert output["item"]["output"] == '{"day":"Monday","open":"10 to 18"}'
        assert create["type"] == "response.create"
        assert published.of("tool.returned")
