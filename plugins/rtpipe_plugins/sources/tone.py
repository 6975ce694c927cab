"""`tone`: test signals, phase-continuous and the same in every run."""

from __future__ import annotations

import asyncio
import functools
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from rtpipe import Ineffective, Options, Source, audio
from rtpipe_plugins.sound.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

    Samples: TypeAlias = NDArray[np.floating[Any]]

_RATE = 48_000
_CREST = {"sine": 2**0.5, "square": 1.0, "noise": 3**0.5, "silence": 1.0, "speech_like": 3.25}
"""Peak over RMS of each waveform: what must fit below full scale."""

_PITCH_HZ = 120.0
_PHRASE_S = 1.3
_PERIOD_S = 2.0
_SYLLABLES_HZ = 4.0
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))
"""The first three formants of the vowels in "father", "see", "law" and "bed"."""


class ToneOptions(Options):
    """A test signal."""

    main: ClassVar[str | None] = "frequency"

    waveform: Literal["sine", "square", "noise", "silence", "speech_like"] = "sine"
    """noise is white; speech_like is a voice of 1.3 s and a pause of 0.7 s, over and over."""
    frequency: float = Field(440.0, gt=0, lt=_RATE / 2)
    """Of sine and square (Hz)."""
    level_dbfs: float = Field(-20.0, le=0)
    """RMS level; a full-scale sine has -3 dBFS. Of speech_like: while it speaks."""
    duration_s: float | None = Field(None, gt=0)
    """How long it sounds; for ever by default."""
    realtime: bool = False
    """Move at real-time speed, as a microphone would."""
    seed: int = Field(0, ge=0)
    """Of noise: the same seed gives the same noise."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        loudest = -20 * math.log10(_CREST[self.waveform])
        if self.level_dbfs > loudest:
            raise ValueError(
                f"a {self.waveform} of {self.level_dbfs:g} dBFS would clip: "
                f"level_dbfs can be {math.floor(10 * loudest) / 10} at most"
            )
        return self


class Tone(Source[ToneOptions]):
    """A test signal: sine, square, noise, silence or something like speech.

    - tone: {waveform: noise, level_dbfs: -30, duration_s: 2}
    """

    kind = "tone"

    @classmethod
    def has_clock(cls, options: ToneOptions) -> bool:
        """Return whether it is paced."""
        return options.realtime

    @classmethod
    def examine(cls, options: ToneOptions) -> Iterator[Ineffective]:
        """Look for what the waveform does not use."""
        for option, waveforms in (
            ("frequency", ("sine", "square")),
            ("seed", ("noise",)),
            ("level_dbfs", tuple(each for each in _CREST if each != "silence")),
        ):
            if options.waveform not in waveforms:
                message = f"a {options.waveform} has no `{option}`"
                yield Ineffective(option, message, ("waveform",))

    async def open(self) -> None:
        """Make what takes long to make."""
        if self.options.waveform == "speech_like":
            await asyncio.to_thread(_phrase_and_pause)

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the signal, s16 mono 48 kHz."""
        import numpy as np

        options = self.options
        pacer = Pacer(self.ctx) if options.realtime else None
        size = _RATE * self.ctx.frame_ms // 1000
        left = None if options.duration_s is None else round(options.duration_s * _RATE)
        scale = 32767 * 10 ** (options.level_dbfs / 20)
        pts = 0
        for wave in _WAVEFORMS[options.waveform](options, size):
            data = np.rint(wave * scale).astype(np.int16)[:left]
            if not len(data):
                return
            frame = audio.from_pcm(data, sample_rate=_RATE, pts=pts)
            if pacer is not None:
                audio.meta(frame).captured_at = await pacer.wait(frame)
            yield frame
            pts += len(data)
            if left is not None:
                left -= len(data)


def _sine(options: ToneOptions, size: int) -> Iterator[Samples]:
    import numpy as np

    for phase in _phases(options.frequency, size):
        yield np.sin(2 * np.pi * phase) * _CREST["sine"]


def _square(options: ToneOptions, size: int) -> Iterator[Samples]:
    import numpy as np

    for phase in _phases(options.frequency, size):
        yield np.where(phase < 0.5, 1.0, -1.0)


def _noise(options: ToneOptions, size: int) -> Iterator[Samples]:
    import numpy as np

    peak = _CREST["noise"]  # uniform rather than Gaussian: white all the same, and never clips
    random = np.random.default_rng(options.seed)
    while True:
        yield random.uniform(-peak, peak, size)


def _silence(_: ToneOptions, size: int) -> Iterator[Samples]:
    import numpy as np

    while True:
        yield np.zeros(size)


def _speech_like(_: ToneOptions, size: int) -> Iterator[Samples]:
    import numpy as np

    period = _phrase_and_pause()
    at = 0
    while True:
        yield period[(at + np.arange(size)) % len(period)]
        at = (at + size) % len(period)


_WAVEFORMS: dict[str, Callable[[ToneOptions, int], Iterator[Samples]]] = {
    "sine": _sine,
    "square": _square,
    "noise": _noise,
    "silence": _silence,
    "speech_like": _speech_like,
}


def _phases(frequency: float, size: int) -> Iterator[Samples]:
    """Yield blocks of phase in periods, 0 to 1; exact however long it runs."""
    import numpy as np

    steps = frequency / _RATE * np.arange(size)
    start = 0.0
    while True:
        yield (start + steps) % 1.0
        start = (start + frequency * size / _RATE) % 1.0


@functools.cache
def _phrase_and_pause() -> Samples:
    """Return a voiced phrase and a pause; the phrase has an RMS of 1."""
    import numpy as np

    t = np.arange(round(_PHRASE_S * _RATE)) / _RATE
    glide = 2 * np.pi * (_PITCH_HZ * t + 4 * np.sin(2 * np.pi * 0.7 * t))
    vowel = (t * _SYLLABLES_HZ).astype(int) % len(_VOWELS_HZ)
    voice = np.zeros_like(t)
    for harmonic in range(1, 30):
        strength = np.array([_formants(harmonic * _PITCH_HZ, each) for each in _VOWELS_HZ])
        voice += strength[vowel] * np.sin(
            harmonic * glide + harmonic**2
        )  # spread phases: less peak
    within = t * _SYLLABLES_HZ % 1.0
    voice *= np.sin(np.pi * within) ** 0.5 * np.minimum(1.0, (_PHRASE_S - t) / 0.05)
    voice /= np.sqrt(np.mean(voice**2))
    period = np.zeros(round(_PERIOD_S * _RATE))
    period[: len(voice)] = voice
    return period


def _formants(frequency_hz: float, vowel: tuple[int, ...]) -> float:
    """Return how much of a harmonic a vowel lets through; each formant half its forerunner."""
    return sum(
        0.5**place / (1.0 + ((frequency_hz - formant) / (60.0 + 0.05 * formant)) ** 2)
        for place, formant in enumerate(vowel)
    )
