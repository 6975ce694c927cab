"""A brain for tests: hears one sentence, answers with another, speaks in a pure tone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtpipe_realtime_server.talk.brain import BrainAnswer, Question, Utterance

HEARD = "When do you open on Sunday?"
ANSWER = "We open at ten in the morning."
TONE_HZ = 600
AMPLITUDE = 8000


class FakeBrain:
    name = "fake"
    notice = None

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.loaded = 0
        self.closed = 0
        self.received: list[NDArray[np.int16]] = []
        self.instructions: list[str] = []

    async def load(self) -> None:
        self.loaded += 1

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        self.received.append(pcm)
        return HEARD

    async def reply(self, question: Question) -> BrainAnswer:
        self.instructions.append(question.instructions)
        if question.heard == "raise":
            raise RuntimeError("the brain is broken")
        return BrainAnswer(ANSWER)

    async def speak(self, text: str, voice: str) -> Utterance:
        t = np.arange(int(48000 * self.seconds)) / 48000
        return Utterance(text, (AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * t)).astype(np.int16))

    async def close(self) -> None:
        self.closed += 1
