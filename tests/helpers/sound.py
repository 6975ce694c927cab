"""Sounds for tests of calls: 48 kHz, mono, s16."""

from __future__ import annotations

import numpy as np

from rtpipe import Link, audio


def fill(link: Link, pcm: np.ndarray) -> None:
    """Put mono 48 kHz s16 `pcm` into `link` in whole 20 ms frames."""
    for start in range(0, len(pcm) - 959, 960):
        assert link.offer(audio.from_pcm(pcm[start : start + 960], sample_rate=48_000, pts=start))


def tone(seconds: float, hz: float = 440.0, peak: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * 48_000)) / 48_000
    return np.rint(np.sin(2 * np.pi * hz * t) * peak * 32767).astype(np.int16)
