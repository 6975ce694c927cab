"""A room with a visitor, a pipeline and a witness: one loudspeaker of a private sound server.

The visitor speaks in it, the pipeline's microphone hears it, its loudspeaker answers in it, and the
sound server's own recorder hears both. The far end answers at once, in a tone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.pulse import PulseAudio
from rtpipe_realtime_server.server import RealtimeServer
from rtpipe_realtime_server.talk.brain import BrainAnswer, Question, Utterance

RATE = 48_000
_TONE_HZ = 1000.0
_TONE_S = 0.7
_KEY = "sk-latency-0123456789"
_PIPELINE = """\
version: 1
stages:
  - mic: {{device: "pulse:vspeaker.monitor"}}
  - mute_gate: {{mode: half_duplex, tail_ms: 400}}
  - realtime: {{base_url: "{url}", api_key: {key}, transport: {transport}}}
  - speaker: {{device: "pulse:vspeaker"}}
events:
  - jsonl: events.jsonl
"""


@dataclass(frozen=True)
class Take:
    """What came of some questions.

    Attributes:
        events: All that the pipeline published.
        waits_ms: How long the visitor waited for each answer, by the recording.
        said: What `rtpipe run --latency` said.
    """

    events: list[dict[str, Any]]
    waits_ms: list[float]
    said: str

    @property
    def turns(self) -> list[dict[str, Any]]:
        """What the pipeline measured."""
        return [event for event in self.events if event["type"] == "latency.turn_measured"]

    @property
    def disturbed(self) -> bool:
        """Whether the machine was too busy to play without holes."""
        return "underrun" in self.said


async def take(pulse: PulseAudio, folder: Path, transport: str, questions: int) -> Take:
    """Let a visitor ask, and listen."""
    server = RealtimeServer(_ToneBrain(), api_key=_KEY)
    await server.start()
    pipeline = folder / "pipeline.yaml"
    pipeline.write_text(_PIPELINE.format(url=server.base_url, key=_KEY, transport=transport))
    env = {**os.environ, **pulse.env, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "rtpipe", "run", "--latency", str(pipeline)]
    try:
        with pulse.hearing() as ear:
            running = await asyncio.create_subprocess_exec(
                *command, env=env, cwd=folder, stderr=asyncio.subprocess.PIPE
            )
            try:
                assert running.stderr is not None
                async for line in running.stderr:
                    if b"connected" in line:
                        break
                wav = _visitor(folder / "visitor.wav", questions)
                play = ["paplay", "--latency-msec=500", "-d", "vspeaker", str(wav)]
                await (await asyncio.create_subprocess_exec(*play, env=env)).wait()
                running.terminate()
                said = (await running.stderr.read()).decode()
            finally:
                if running.returncode is None:
                    running.kill()
                await running.wait()
            heard = ear.samples
    finally:
        await server.close()
    lines = (folder / "events.jsonl").read_text().splitlines()
    return Take([json.loads(line) for line in lines], _waits_ms(heard), said)


def _visitor(path: Path, questions: int) -> Path:
    """Write what the visitor says: questions that end suddenly, and time for the answers."""
    question = voice(1.0)
    rest = np.zeros(round(2.4 * RATE), np.int16)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.concatenate([rest[:RATE], *([question, rest] * questions)]).tobytes())
    return path


def voice(seconds: float) -> NDArray[np.int16]:
    """Return a buzz through moving formants, in syllables and noise: every detector's speech."""
    rng = np.random.default_rng(1)
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = np.cumsum(110 + 25 * np.sin(2 * np.pi * 2.3 * t)) / RATE
    formant = 600 + 250 * np.sin(2 * np.pi * 1.7 * t)
    voice = sum(
        np.exp(-(((n * 120 - formant) / 350) ** 2)) * np.sin(2 * np.pi * n * pitch)
        for n in range(1, 30)
    )
    syllables = 0.35 + 0.65 * np.clip(np.sin(2 * np.pi * 3.5 * t), 0, None)
    return np.rint(voice * syllables * 5000 + rng.normal(0, 60, len(t))).astype(np.int16)


def _waits_ms(heard: NDArray[np.int16]) -> list[float]:
    """Return the time from the last of the visitor's sounds to each tone, to the millisecond."""
    size = RATE // 1000  # in which the tone has one period
    blocks = heard[: len(heard) // size * size].reshape(-1, size).astype(float)
    loud = np.abs(blocks).max(axis=1) > 300
    phase = np.exp(-2j * np.pi * _TONE_HZ * np.arange(size) / RATE)
    share = np.abs(blocks @ phase) ** 2 * 2 / size / np.maximum((blocks**2).sum(axis=1), 1)
    tone = loud & (share > 0.8)
    answers = [
        at
        for at in np.flatnonzero(tone)
        if tone[at : at + 50].all() and not tone[max(at - 50, 0) : at].any()
    ]
    visitor = loud & ~tone
    return [float(at - 1 - np.flatnonzero(visitor[: at - 100])[-1]) for at in answers]


class _ToneBrain:
    """Answers everything by a tone."""

    name = "tone"
    notice = ""

    async def load(self) -> None: ...

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        return "Hello?"

    async def reply(self, question: Question) -> BrainAnswer:
        return BrainAnswer("Hello.")

    async def speak(self, text: str, voice: str) -> Utterance:
        t = np.arange(round(_TONE_S * RATE)) / RATE
        return Utterance(text, np.rint(np.sin(2 * np.pi * _TONE_HZ * t) * 8000).astype(np.int16))

    async def close(self) -> None: ...
