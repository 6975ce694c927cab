"""The brain that follows a script."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import av
import numpy as np
from av.error import FFmpegError

from rtpipe import EnvironmentProblem
from rtpipe_realtime_server.brains.script import turn_hz
from rtpipe_realtime_server.faults.events import Reported
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, ResponseEnding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rtpipe_realtime_server.brains.script import Script, ScriptTurn
    from rtpipe_realtime_server.talk.brain import Brain, Question, Utterance

_RATE = 48_000
_PEAK = 0.25  # -12 dBFS
_EDGE_S = 0.005  # faded in and out, or every tone would begin and end with a click


class ScriptBrain:
    """Follows a script: it hears what stands there, and answers that.

    Args:
        script: The turns.
        voice: Speaks the turns whose sound is `spoken`; None if there are none.
    """

    name = "script"
    notice = None

    def __init__(self, script: Script, voice: Brain | None = None) -> None:
        self._turns = script.turns
        self._voice = voice
        self._place = 0
        self._sounds: dict[Path, NDArray[np.int16]] = {}

    async def load(self) -> None:
        """Read the sound files and load the voice.

        Raises:
            EnvironmentProblem: A sound file cannot be read.
        """
        for turn in self._turns:
            path = turn.sound.wav
            if path is not None and path not in self._sounds:
                self._sounds[path] = await asyncio.to_thread(_read, path)
        if self._voice is not None:
            await self._voice.load()

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        """Return what the visitor is taken to say before the next answer."""
        del pcm
        number, turn = self._current()
        words = f"This is turn {number}." if turn.transcribe is None else turn.transcribe
        return words if turn.transcription is None else Reported(words, turn.transcription)

    async def reply(self, question: Question) -> BrainAnswer:
        """Return the next turn's answer."""
        number, turn = self._current()
        if turn.hear is not None and not re.search(turn.hear, question.heard, re.IGNORECASE):
            return BrainAnswer(ending=ResponseEnding("failed", "script_mismatch"))
        self._place += 1
        if turn.think_ms:
            await asyncio.sleep(turn.think_ms / 1000)
        calls = () if turn.call is None else (FunctionCall(turn.call.name, turn.call.arguments),)
        silent = turn.say is None and (calls or turn.fail)
        words = "" if silent else (turn.say or f"Answer {number}.")
        ending = None
        if turn.fail is not None:
            ending = ResponseEnding("failed", turn.fail)
        elif turn.incomplete is not None:
            ending = ResponseEnding("incomplete", turn.incomplete)
        return BrainAnswer(words, calls, ending, self._sound(number, turn) if words else None)

    async def speak(self, text: str, voice: str) -> Utterance:
        """Return `text` spoken by the voice."""
        assert self._voice is not None  # only a spoken turn comes without its sound
        return await self._voice.speak(text, voice)

    async def close(self) -> None:
        """Let go of the voice."""
        if self._voice is not None:
            await self._voice.close()

    def _current(self) -> tuple[int, ScriptTurn]:
        """Return the turn that is next, with its number in the script, from 1."""
        place = self._place % len(self._turns)
        return place + 1, self._turns[place]

    def _sound(self, number: int, turn: ScriptTurn) -> NDArray[np.int16] | None:
        sound = turn.sound
        if sound.spoken:
            return None
        if sound.wav is not None:
            return self._sounds[sound.wav]
        return _tone(sound.tone_hz or turn_hz(number), sound.duration_s)


def _tone(frequency_hz: float, duration_s: float) -> NDArray[np.int16]:
    """Return a sine of -12 dBFS; mono, 48 kHz."""
    at_s = np.arange(round(duration_s * _RATE)) / _RATE
    edge = np.clip(np.minimum(at_s, duration_s - at_s) / _EDGE_S, 0, 1)
    sine = _PEAK * edge * np.sin(2 * np.pi * frequency_hz * at_s)
    return np.rint(sine * 32767).astype(np.int16)


def _read(path: Path) -> NDArray[np.int16]:
    """Return a sound file as mono, 48 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            frames = [
                piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)
            ]
            pcm = np.concatenate(
                [frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]]
            )
    except (FFmpegError, IndexError, ValueError) as error:  # no stream, or nothing in it
        reason = error.strerror if isinstance(error, FFmpegError) else "it holds no audio"
        raise EnvironmentProblem(
            f"Cannot read {path}: {reason}.", help="Name a sound file: `sound: {wav: answer.wav}`."
        ) from error
    return pcm
