"""A room for tests: what a microphone hears of a loudspeaker in it, and voices to fill it."""

from __future__ import annotations

import asyncio
import functools
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.listening import require_speech

RATE = 48_000
ECHO_DB = -6.0


@functools.cache
def impulse_response(delay_ms: float) -> NDArray[np.float64]:
    """Return the way from the loudspeaker to the microphone: 30 ms of reflections, -6 dB."""
    n = round(0.03 * RATE)
    tail = np.random.default_rng(7).standard_normal(n) * np.exp(-np.arange(n) / (0.008 * RATE))
    tail[0] = 4.0
    tail *= 10 ** (ECHO_DB / 20) / np.sqrt(np.sum(tail**2))
    return np.concatenate([np.zeros(round(delay_ms * RATE / 1000)), tail])


def room(played: NDArray[np.int16], delay_ms: float) -> NDArray[np.float64]:
    """Return what of `played` is heard at the microphone."""
    response = impulse_response(delay_ms)
    size = len(played) + len(response)
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)
    return heard[: len(played)]


@functools.cache
def questions() -> list[NDArray[np.int16]]:
    """Return what the visitor of the kiosk asks: about opening hours, and about the café."""
    path = Path(__file__).parents[2] / "pipelines" / "audio" / "visitor.wav"
    with wave.open(str(path)) as file:
        whole = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    audible = np.flatnonzero(np.abs(whole) > 100)
    gap = int(np.argmax(np.diff(audible)))
    margin = RATE // 50
    return [
        whole[audible[start] - margin : audible[end] + margin]
        for start, end in ((0, gap), (gap + 1, -1))
    ]


@functools.cache
def spoken(voice: str, *texts: str) -> NDArray[np.int16]:
    """Return texts spoken one after the other, in a voice of the embedded peer."""
    require_speech()
    pytest.importorskip("rtpipe_realtime_server")
    from rtpipe_realtime_server.brains.desk import load_desk
    from rtpipe_realtime_server.brains.speech import SpeechBrain

    async def speak() -> NDArray[np.int16]:
        brain = SpeechBrain(load_desk())
        try:
            return np.concatenate([(await brain.speak(text, voice)).pcm for text in texts])
        finally:
            await brain.close()

    with asyncio.Runner() as runner:
        return runner.run(speak())


def desk_speech(seconds: float) -> NDArray[np.int16]:
    """Return the desk speaking without a rest."""
    once = spoken(
        "marin",
        "We are open from ten in the morning until six in the evening, Tuesday to Sunday.",
        "A ticket costs twelve euros, or eight for students. Children come in for free.",
        "The paintings are on the first floor, and the dinosaurs are on the second.",
    )
    return np.resize(once, round(seconds * RATE))


def interruption() -> NDArray[np.int16]:
    """Return a visitor who asks for the café, 4 dB louder than `questions`.

    Who speaks over a voice raises his own. As loud as `questions` he does interrupt, but in one run
    of eleven the recogniser did not believe what the canceller had left of his words.
    """
    said = spoken("cedar", "Excuse me, where is the café, please?")
    return np.rint(said * 10 ** (-5 / 20)).astype(np.int16)
