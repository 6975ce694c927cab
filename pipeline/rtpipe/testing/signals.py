"""Audio to test with: frames with honest times, the same on every machine."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import audio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHANNELS = {"mono": 1, "stereo": 2}
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
_SYLLABLE_S = 0.22


def tone(
    frequency: float = 440.0,
    *,
    seconds: float,
    level_dbfs: float = -20.0,
    sample_rate: int = 48_000,
    layout: str = "mono",
    frame_ms: float = 20,
) -> list[audio.AudioFrame]:
    """Return a sine as s16 frames.

    Args:
        frequency: Hz.
        seconds: Its length; the last frame may be shorter than the others.
        level_dbfs: Its RMS as `audio.level_dbfs` measures it (a full-scale sine has -3 dBFS).
        sample_rate: Hz.
        layout: `mono`, or `stereo` with the same in both channels.
        frame_ms: Length of a frame (ms).
    """
    x = np.sin(2 * np.pi * frequency * _seconds(seconds, sample_rate))
    return _frames(x, level_dbfs, sample_rate, layout, frame_ms)


def noise(
    *,
    seconds: float,
    level_dbfs: float = -40.0,
    sample_rate: int = 48_000,
    layout: str = "mono",
    frame_ms: float = 20,
    seed: int = 0,
) -> list[audio.AudioFrame]:
    """Return white noise as s16 frames.

    Args:
        seconds: Its length.
        level_dbfs: Its RMS.
        sample_rate: Hz.
        layout: `mono`, or `stereo` with the same in both channels.
        frame_ms: Length of a frame (ms).
        seed: The same noise for the same number.
    """
    x = np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))
    return _frames(x, level_dbfs, sample_rate, layout, frame_ms)


def speech_like(
    *,
    seconds: float,
    level_dbfs: float = -20.0,
    sample_rate: int = 48_000,
    layout: str = "mono",
    frame_ms: float = 20,
) -> list[audio.AudioFrame]:
    """Return what a voice activity detector takes for speech, without a pause, as s16 frames.

    A gliding voice of about 120 Hz whose vowel changes every 220 ms.

    Args:
        seconds: Its length.
        level_dbfs: Its RMS.
        sample_rate: Hz.
        layout: `mono`, or `stereo` with the same in both channels.
        frame_ms: Length of a frame (ms).
    """
    t = _seconds(seconds, sample_rate)
    phase = 2 * np.pi * (120 * t + 4 * np.sin(2 * np.pi * 0.7 * t))
    syllable = (t / _SYLLABLE_S).astype(int) % len(_VOWELS_HZ)
    within = t / _SYLLABLE_S % 1.0
    x = np.zeros_like(t)
    for harmonic in range(1, 30):
        weights = [_formants(120.0 * harmonic, vowel) for vowel in _VOWELS_HZ]
        if 120 * harmonic < sample_rate / 2.2:
            x += np.array(weights)[syllable] * np.sin(harmonic * phase)
    x *= 0.35 + 0.65 * np.sin(np.pi * within) ** 0.5
    return _frames(x, level_dbfs, sample_rate, layout, frame_ms)


def cut(
    data: NDArray[np.int16],
    sizes: int | Sequence[int] = 960,
    *,
    sample_rate: int = 48_000,
    pts: int = 0,
) -> list[audio.AudioFrame]:
    """Cut s16 samples into frames that follow each other.

    Args:
        data: Shape (samples,) or (samples, channels: 1 or 2).
        sizes: Samples in a frame; of several sizes each is used in turn, over and over.
        sample_rate: Hz.
        pts: Of the first sample.
    """
    turns = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    frames: list[audio.AudioFrame] = []
    start = 0
    while start < len(data):
        size = turns[len(frames) % len(turns)]
        piece = data[start : start + size]
        frames.append(audio.from_pcm(piece, sample_rate=sample_rate, pts=pts + start))
        start += size
    return frames


def joined(frames: Iterable[audio.AudioFrame]) -> NDArray[np.int16]:
    """Return the samples of s16 frames of one layout, shape (samples, channels); holes vanish."""
    parts = [audio.pcm(frame) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.int16)


def write_wav(path: Path, frames: Sequence[audio.AudioFrame]) -> Path:
    """Write s16 frames of one rate and layout into a WAV file; returns its path.

    Raises:
        IndexError: There is no frame.
        OSError: It cannot be written.
    """
    data = joined(frames)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(data.shape[1])
        file.setsampwidth(2)
        file.setframerate(frames[0].sample_rate)
        file.writeframes(data.tobytes())
    return path


def _seconds(seconds: float, sample_rate: int) -> NDArray[np.float64]:
    return np.arange(round(seconds * sample_rate)) / sample_rate


def _formants(frequency: float, vowel: tuple[int, ...]) -> float:
    return sum(
        0.5**place / (1.0 + ((frequency - formant) / (60.0 + 0.05 * formant)) ** 2)
        for place, formant in enumerate(vowel)
    )


def _frames(
    x: NDArray[np.float64], level_dbfs: float, sample_rate: int, layout: str, frame_ms: float
) -> list[audio.AudioFrame]:
    rms = float(np.sqrt(np.mean(x * x))) if len(x) else 1.0
    scaled = x * (10 ** (level_dbfs / 20) / max(rms, 1e-9))
    mono = audio.to_s16(scaled * 32768)
    data = np.repeat(mono[:, None], _CHANNELS[layout], axis=1)
    return cut(data, max(1, round(sample_rate * frame_ms / 1000)), sample_rate=sample_rate)
