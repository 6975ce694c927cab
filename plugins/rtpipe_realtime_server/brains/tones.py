"""A makeshift brain without models: it hears by script and answers in tones."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from typing import TYPE_CHECKING

import numpy as np

from rtpipe_realtime_server.talk.brain import Utterance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_realtime_server.brains.desk import Desk
    from rtpipe_realtime_server.talk.brain import BrainAnswer, Question

SCRIPT = (
    "Hello, what are your opening hours today?",
    "And where is the café, please?",
    "How much is a ticket?",
    "Thank you, goodbye!",
)
"""What the visitor is taken to have said, turn by turn, over and over."""

_RATE = 48_000
_PEAK = 0.25  # -12 dBFS: pure tones sound louder than speech of the same peak
_ATTACK_S = 0.01  # without it every note starts with a click
_GAP_S = 0.04
_PAUSE_S = 0.25
_SCALE_HZ = (261.63, 293.66, 329.63, 392.0, 440.0, 523.25)  # C major pentatonic: no wrong notes


class ToneBrain:
    """Keeps a call alive where the speech models are missing.

    Its answers are the desk's, its transcripts are a script, and each word it says is one note.
    """

    name = "tones"
    notice = (
        "The embedded peer cannot listen or speak: it follows a script and answers in tones; "
        "pip install 'rtpipe-media[speech]' gives it ears and a voice."
    )

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._script = itertools.cycle(SCRIPT)

    async def load(self) -> None:
        """Do nothing: there is no model."""

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        """Return the script's next line, or "" for no sound at all."""
        return next(self._script) if pcm.any() else ""

    async def reply(self, question: Question) -> BrainAnswer:
        """Return the desk's answer."""
        return self._desk.reply(question)

    async def speak(self, text: str, voice: str) -> Utterance:
        """Return a melody of one note per word of `text`; it has but one `voice`."""
        del voice
        return Utterance(text, await asyncio.to_thread(melody, text))

    async def close(self) -> None:
        """Do nothing: there is no model."""


def melody(text: str) -> NDArray[np.int16]:
    """Return one note per word of `text`, about as long as the spoken text; mono, 48 kHz.

    The same text has the same melody. The result is never empty.
    """
    place = 0
    notes: list[NDArray[np.float64]] = []
    for word in text.split() or [""]:
        # A step of at most two from the last note, chosen by the word: a tune, not a lottery.
        place = min(max(place + zlib.crc32(word.encode()) % 5 - 2, 0), len(_SCALE_HZ) - 1)
        pause_s = _PAUSE_S if word.endswith((".", "!", "?", ":")) else _GAP_S
        notes += [
            _note(_SCALE_HZ[place], 0.12 + 0.03 * min(len(word), 10)),
            np.zeros(round(pause_s * _RATE)),
        ]
    return np.rint(np.concatenate(notes) * 32767).astype(np.int16)


def _note(frequency_hz: float, duration_s: float) -> NDArray[np.float64]:
    """Return a plucked note that starts and ends at zero and peaks below `_PEAK`."""
    at_s = np.arange(round(duration_s * _RATE)) / _RATE
    phase = 2 * np.pi * frequency_hz * at_s
    envelope = np.minimum(at_s / _ATTACK_S, 1) * (1 - at_s / duration_s)
    return _PEAK * envelope * (0.8 * np.sin(phase) + 0.2 * np.sin(2 * phase))
