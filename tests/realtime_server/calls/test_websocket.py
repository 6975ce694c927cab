"""Spoken turns on a WebSocket: OpenAI's own client is the judge."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import av
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from realtime_server.calls.listener import Listener
from realtime_server.fake_brain import AMPLITUDE, ANSWER, TONE_HZ, FakeBrain
from realtime_server.sounds import babble, level, pcm

RATE = 24000
HEAD = [
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "conversation.item.input_audio_transcription.completed",
]
MADE = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
DONE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def question(seconds: float = 1.0, rest: float = 0.5) -> str:
    speech = pcm(level(babble(seconds, RATE), -20))
    silence = np.zeros(int(RATE * rest), np.int16)
    return base64.b64encode(np.concatenate([speech, silence]).tobytes()).decode()


async def test_a_spoken_turn(client: openai.AsyncOpenAI, brain: FakeBrain) -> None:
    brain.seconds = 3.0
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await listener.until("session.created")
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        started = asyncio.get_running_loop().time()
        await connection.input_audio_buffer.append(audio=question())
        await listener.until("response.done")
        took_s = asyncio.get_running_loop().time() - started
        await listener.until("rate_limits.updated")
    assert took_s < brain.seconds, "it is generated faster than it is played"
    answer = listener.heard()
    assert len(answer) == brain.seconds * RATE
    assert np.abs(answer).max() == pytest.approx(AMPLITUDE, rel=0.02)
    spectrum = np.abs(np.fft.rfft(answer * np.hanning(len(answer))))
    assert spectrum.argmax() * RATE / len(answer) == pytest.approx(TONE_HZ, abs=1)
    kinds = listener.kinds()
    assert [kind for kind in kinds if not kind.endswith("delta")] == [*HEAD, *MADE, *DONE]
    assert kinds[-len(DONE) - 1] == "response.output_audio.delta"
    transcript = listener.events[-2]["response"]["output"][0]["content"][0]["transcript"]
    assert transcript == ANSWER


async def test_barge_in_stops_the_generation_and_the_client_truncates(
    client: openai.AsyncOpenAI, brain: FakeBrain
) -> None:
    brain.seconds = 30.0
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await connection.input_audio_buffer.append(audio=question())
        delta = await listener.until("response.output_audio.delta")
        await connection.input_audio_buffer.append(audio=question(rest=0.0))
        done = await listener.until("response.done")
        assert done["response"]["status_details"] == {
            "type": "cancelled",
            "reason": "turn_detected",
        }
        assert len(listener.heard()) < 30 * RATE
        where = {"item_id": delta["item_id"], "content_index": 0}
        await connection.conversation.item.truncate(**where, audio_end_ms=100)
        truncated = await listener.until("conversation.item.truncated")
        assert truncated["audio_end_ms"] == 100
        await connection.conversation.item.truncate(**where, audio_end_ms=30_000)
        error = await listener.until("error")
        assert error["error"]["message"] == "Audio content of 100ms is already shorter than 30000ms"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_g711_is_carried_both_ways(
    client: openai.AsyncOpenAI, brain: FakeBrain, kind: str
) -> None:
    speech = pcm(np.pad(level(babble(1.0, 8000), -20), (0, 4000)))
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await listener.until("session.created")
        audio_format: Any = {"type": kind}
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"format": audio_format}, "output": {"format": audio_format}},
            }
        )
        sent = _g711(kind, speech)
        await connection.input_audio_buffer.append(audio=base64.b64encode(sent).decode())
        await listener.until("response.done")
    (heard,) = brain.received
    assert len(heard) / 16000 == pytest.approx(1.2, abs=0.3)
    deltas = [e["delta"] for e in listener.events if e["type"] == "response.output_audio.delta"]
    answer = _decoded(kind, b"".join(map(base64.b64decode, deltas)))
    assert len(answer) == brain.seconds * 8000
    assert np.abs(answer).max() == pytest.approx(AMPLITUDE, rel=0.05)


def _g711(kind: str, samples: NDArray[np.int16]) -> bytes:
    """Return what FFmpeg makes of samples: a codec that is not the server's own."""
    encoder: Any = av.CodecContext.create("pcm_mulaw" if kind == "audio/pcmu" else "pcm_alaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def _decoded(kind: str, data: bytes) -> NDArray[np.int16]:
    decoder: Any = av.CodecContext.create("pcm_mulaw" if kind == "audio/pcmu" else "pcm_alaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    return np.concatenate([f.to_ndarray()[0] for f in decoder.decode(av.Packet(data))])
