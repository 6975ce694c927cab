"""What is seen and heard of a pipeline while a test runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import audio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Event, RtpipeError

FLOOR_DBFS = -60.0
"""Softer than this is silence."""
BLOCK_S = 0.02


@dataclass(slots=True, repr=False)
class Heard:
    """What came out of a stage: its samples, and when they came.

    Attributes:
        rate: Samples per second; 0 while nothing came.
    """

    rate: int = 0
    _pieces: list[tuple[float, NDArray[np.float32]]] = field(default_factory=list)

    def take(self, at: float, frame: AudioFrame) -> None:
        """Keep a frame that came at pipeline second `at`, all channels as one."""
        self.rate = frame.sample_rate
        self._pieces.append((at, audio.samples(frame).mean(axis=1)))

    def samples(self) -> NDArray[np.float32]:
        """Return all of it, from -1 to 1."""
        whole = [piece for _, piece in self._pieces]
        return np.concatenate(whole) if whole else np.zeros(0, np.float32)

    def between(self, begin: float, end: float) -> NDArray[np.float32]:
        """Return the samples of a stretch of pipeline seconds; those of frames that began in it."""
        parts = []
        for at, piece in self._pieces:
            first = max(0, round((begin - at) * self.rate))
            last = min(len(piece), round((end - at) * self.rate))
            if first < last:
                parts.append(piece[first:last])
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@dataclass(slots=True, repr=False)
class Observation:
    """One run.

    Attributes:
        events: All that were published, in order.
        heard: By stage, what came out of it; what went in, of a sink.
        dropped_ms: By stage, audio that it did not take because its queue was full or closed (ms).
        ended_at: When the pipeline ended (pipeline seconds).
        failure: What ended it; None: it ended well.
        unmet: Steps that were never done: their numbers, and why.
        written: Returns where a file is that a stage calls so.
    """

    events: list[Event] = field(default_factory=list)
    heard: dict[str, Heard] = field(default_factory=dict)
    dropped_ms: dict[str, float] = field(default_factory=dict)
    ended_at: float = 0.0
    failure: RtpipeError | None = None
    unmet: list[tuple[int, str]] = field(default_factory=list)
    written: Callable[[str], Path] | None = None


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Return the level (RMS, dBFS); -120 of nothing at all."""
    if not len(samples):
        return -120.0
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(-120.0, 10 * float(np.log10(power))) if power > 0 else -120.0


def sounding(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return the blocks of 20 ms that are louder than `FLOOR_DBFS`, put together."""
    size = max(1, round(rate * BLOCK_S))
    whole = len(samples) // size * size
    blocks = samples[:whole].reshape(-1, size)
    loud = np.square(blocks, dtype=np.float64).mean(axis=1) > 10 ** (FLOOR_DBFS / 10)
    kept: NDArray[np.float32] = blocks[loud].reshape(-1)
    return kept


def loudest_hz(samples: NDArray[np.float32], rate: int) -> float:
    """Return the frequency of the strongest tone (Hz), within 1 %; 0 of nothing."""
    if len(samples) < rate // 50:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * rate / len(samples)
