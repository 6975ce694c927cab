"""Spoken turns with the embedded server over a WebSocket, and a brain that is a script."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from helpers.sound import fill
from rtpipe import audio
from rtpipe.testing import joined, speech_like
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions

pytestmark = pytest.mark.slow
ANSWER_S = 2.0


class ScriptedBrain:
    """Gives one answer to all, a tone."""

    name = "script"
    notice = ""

    async def load(self) -> None: ...

    async def transcribe(self, pcm: np.ndarray) -> str:
        return "Where is the café?"

    async def reply(self, question: Any) -> Any:
        from rtpipe_realtime_server.talk.brain import BrainAnswer

        return BrainAnswer("It is on the ground floor.")

    async def speak(self, text: str, voice: str) -> Any:
        from rtpipe_realtime_server.talk.brain import Utterance

        t = np.arange(round(ANSWER_S * 48_000)) / 48_000
        tone = np.rint(np.sin(2 * np.pi * 600 * t) * 8000).astype(np.int16)
        return Utterance(text, tone)

    async def close(self) -> None: ...


def question(seconds: float) -> np.ndarray:
    return joined(speech_like(seconds=seconds, level_dbfs=-15))[:, 0]


def pause(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 48_000), np.int16)


@pytest.fixture
async def visit(monkeypatch: pytest.MonkeyPatch, ctx: Any, patient_link: Any) -> Any:
    from rtpipe_realtime_server.brains import speech

    monkeypatch.setattr(speech, "brain_from_options", lambda **_: ScriptedBrain())

    async def converse(visitor: np.ndarray) -> np.ndarray:
        stage = Realtime(RealtimeOptions(provider="embedded", transport="websocket"), ctx)
        frames: list[Any] = []

        async def send(frame: Any) -> None:
            frames.append(frame)

        try:
            await stage.open()
            fill(patient_link, visitor)
            patient_link.close()
            async with asyncio.timeout(40):
                await stage.converse(patient_link, send)
        finally:
            await stage.close()
        return np.concatenate([audio.pcm(frame)[:, 0] for frame in frames])

    return converse


async def test_a_spoken_turn(visit: Any, published: Any) -> None:
    pcm = await visit(np.concatenate([pause(0.3), question(1.2)]))
    (user,) = published.of("transcript.user")
    assert user.text == "Where is the café?"
    (assistant,) = published.of("transcript.assistant")
    assert (assistant.text, assistant.interrupted) == ("It is on the ground floor.", False)
    types = [event.type for event in published.events]
    assert types.index("output_audio_buffer.started") < types.index("output_audio_buffer.stopped")
    assert types[-1] == "realtime.disconnected"
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(ANSWER_S, abs=0.02)
    assert not published.of("error")


async def test_a_visitor_interrupts(visit: Any, published: Any) -> None:
    speech, gap = question(1.2), pause(1.6)
    await visit(np.concatenate([pause(0.3), speech, gap, speech]))
    first, second = published.of("transcript.assistant")
    assert (first.interrupted, second.interrupted) == (True, False)
    (truncated,) = published.of("conversation.item.truncated")
    assert truncated.payload()["item_id"] == first.item_id
    assert 0 < truncated.payload()["audio_end_ms"] < ANSWER_S * 1000
    (cleared,) = published.of("output_audio_buffer.cleared")
    assert cleared.payload()["response_id"] == first.response_id
    assert not published.of("error")
