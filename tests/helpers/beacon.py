"""A sound by which delay and gaps can be read off: a steady tone with a chirp twice a second."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import dataclass

import av
import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from rtpipe import audio

RATE = 48_000
FRAME = 960
EVERY_S = 0.5
_TONE_HZ = 300.0
_TONE = 5000.0
_CHIRP_S = 0.02
_BLOCK = 240
"""5 ms: in such steps a gap is measured."""


def _chirp() -> NDArray[np.float64]:
    t = np.arange(round(_CHIRP_S * RATE)) / RATE
    sweep = np.sin(2 * np.pi * (2000 * t + 2000 / _CHIRP_S * t * t / 2))
    return 9000.0 * np.hanning(len(t)) * sweep


class Beacon(MediaStreamTrack):
    """Sends the sound in real time and remembers when each chirp left."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._start: float | None = None
        self._slot = 0
        self._chirp = np.pad(_chirp(), (0, FRAME - round(_CHIRP_S * RATE)))
        self.sent_s: list[float] = []
        """The loop's seconds at which chirps began."""

    async def recv(self) -> av.AudioFrame:
        if self._start is None:
            self._start = self._loop.time()
        slot = self._slot
        self._slot += 1
        at = self._start + slot * FRAME / RATE
        await asyncio.sleep(max(0.0, at - self._loop.time()))
        t = (np.arange(FRAME) + slot * FRAME) / RATE
        pcm = _TONE * np.sin(2 * np.pi * _TONE_HZ * t)
        if slot % round(EVERY_S * RATE / FRAME) == 0:
            pcm += self._chirp
            self.sent_s.append(at)
        both = np.repeat(np.rint(pcm).astype(np.int16)[:, None], 2, axis=1)
        return audio.from_pcm(both, sample_rate=RATE, pts=slot * FRAME)


@dataclass(frozen=True)
class Reading:
    """What was read off a recording.

    Attributes:
        at_s: The loop's seconds at which chirps were heard.
        latency_ms: How long each had been under way.
        gap_ms: The longest time for which the tone was missing.
    """

    at_s: list[float]
    latency_ms: list[float]
    gap_ms: float

    def between(self, start_s: float, end_s: float) -> float:
        """Return the median latency (ms) in a part of the recording, seconds from its start."""
        first = self.at_s[0]
        part = [
            latency
            for at, latency in zip(self.at_s, self.latency_ms, strict=True)
            if start_s <= at - first < end_s
        ]
        return float(np.median(part))


def read(frames: list[av.AudioFrame], origin_s: float, sent_s: list[float]) -> Reading:
    """Return what can be read off what was heard; the pipeline began at the loop's `origin_s`."""
    pts = [frame.pts or 0 for frame in frames]
    heard = np.zeros(pts[-1] + frames[-1].samples, np.float32)
    for frame, start in zip(frames, pts, strict=True):
        heard[start : start + frame.samples] = audio.pcm(frame)[:, 0]
    heard = heard[pts[0] :]
    chirps = [_heard_s(frames, pts, place + pts[0]) + origin_s for place in _chirps(heard)]
    latency = []
    at = []
    for chirp in chirps:
        sent = [s for s in sent_s if chirp - 2 * EVERY_S < s <= chirp]
        if sent:
            at.append(chirp)
            latency.append((chirp - sent[-1]) * 1000)
    return Reading(at, latency, _longest_gap_ms(heard))


def _heard_s(frames: list[av.AudioFrame], pts: list[int], place: int) -> float:
    """Return the pipeline's second at which a sample was handed over."""
    index = bisect_right(pts, place) - 1
    captured_at = audio.meta(frames[index]).captured_at
    assert captured_at is not None
    return captured_at + (place - pts[index]) / RATE


def _chirps(heard: NDArray[np.float32]) -> list[int]:
    """Return where chirps begin (samples)."""
    chirp = _chirp()
    found: list[int] = []
    for start in range(0, len(heard) - len(chirp), RATE):
        piece = heard[start : start + RATE + len(chirp)]
        size = len(piece) + len(chirp)
        spectrum = np.fft.rfft(piece, size) * np.conj(np.fft.rfft(chirp, size))
        likeness = np.fft.irfft(spectrum, size)[: len(piece) - len(chirp) + 1]
        likeness /= float(chirp @ chirp)
        while len(likeness) and likeness.max() > 0.4:
            best = int(np.argmax(likeness))
            found.append(start + best)
            likeness[max(0, best - RATE // 10) : best + RATE // 10] = 0.0
    return sorted(set(found))


def _longest_gap_ms(heard: NDArray[np.float32]) -> float:
    """Return for how long the tone was missing at most: below a fifth of its power."""
    whole = heard[: len(heard) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    missing = np.mean(whole.astype(np.float64) ** 2, axis=1) < _TONE**2 / 2 / 5
    longest = run = 0
    for gone in missing:
        run = run + 1 if gone else 0
        longest = max(longest, run)
    return longest * _BLOCK * 1000 / RATE
