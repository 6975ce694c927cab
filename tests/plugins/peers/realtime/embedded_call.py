"""Calls with the embedded server, whose brain is a script."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from helpers.sound import fill
from rtpipe import audio
from rtpipe.testing import joined, speech_like, tone
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions

_brain = pytest.importorskip("rtpipe_realtime_server.talk.brain")


class ScriptedBrain:
    """Hears one sentence, gives one answer, in a tone of `answer_s`."""

    name = "script"
    notice = "this brain is a script"

    def __init__(self, answer_s: float = 0.8) -> None:
        self.heard_s: list[float] = []
        self.answer_s = answer_s

    async def load(self) -> None: ...

    async def transcribe(self, pcm: np.ndarray) -> str:
        self.heard_s.append(len(pcm) / 16_000)
        return "Where is the café?"

    async def reply(self, question: Any) -> Any:
        return _brain.BrainAnswer(f"You said: {question.heard}")

    async def speak(self, text: str, voice: str) -> Any:
        return _brain.Utterance(
            text, joined(tone(600, seconds=self.answer_s, level_dbfs=-15))[:, 0]
        )

    async def close(self) -> None: ...


def question(seconds: float) -> np.ndarray:
    return joined(speech_like(seconds=seconds, level_dbfs=-15))[:, 0]


def pause(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 48_000), np.int16)


@contextlib.asynccontextmanager
async def in_call(
    ctx: Any, inlet: Any, **options: Any
) -> AsyncIterator[tuple[Realtime, list[Any], asyncio.Task[None]]]:
    """Be in a call; yields the stage, the frames that it gives out, and what ends with the call."""
    stage = Realtime(RealtimeOptions(provider="embedded", **options), ctx)
    frames: list[Any] = []

    async def send(frame: Any) -> None:
        frames.append(frame)

    talking = None
    try:
        await stage.open()
        talking = asyncio.create_task(stage.converse(inlet, send))
        yield stage, frames, talking
    finally:
        if talking is not None:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        await stage.close()


async def converse(ctx: Any, inlet: Any, visitor: np.ndarray, **options: Any) -> np.ndarray:
    """Return what is heard in a call in which the visitor says so much and goes."""
    async with in_call(ctx, inlet, **options) as (_, frames, talking):
        fill(inlet, visitor)
        inlet.close()
        async with asyncio.timeout(40):
            await talking
    return np.concatenate([audio.pcm(frame)[:, 0] for frame in frames])
