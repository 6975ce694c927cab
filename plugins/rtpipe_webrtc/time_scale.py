"""Time-scale modification: speech shorter or longer at its pitch; periods go, or come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHORTEST, _LONGEST = 120, 480
"""Periods (samples at 48 kHz): 400 and 100 Hz."""
_COMPARED = 240
_COARSE = 4
_ALIKE = 0.7
_SILENT = 60
"""Of 32767: -55 dBFS, below which nobody hears what is cut."""


def stretched(pcm: NDArray[np.int16], surplus: int) -> NDArray[np.int16]:
    """Return `pcm` shorter by up to `surplus` samples, or longer if that is below 0.

    Unchanged where it has no period that could go unheard.

    Args:
        pcm: Samples, mono, 48 kHz.
        surplus: Samples.
    """
    most = min(abs(surplus), _LONGEST, len(pcm) // 2) if surplus > 0 else _LONGEST
    if surplus == 0 or most < _SHORTEST or len(pcm) < 2 * _LONGEST:
        return pcm
    lag = _period(pcm, most)
    if lag is None:
        return pcm
    fade = np.linspace(0.0, 1.0, lag)
    first, second = pcm[:lag], pcm[lag : 2 * lag]
    if surplus > 0:
        blend = first * (1.0 - fade) + second * fade
        return np.concatenate((np.rint(blend).astype(np.int16), pcm[2 * lag :]))
    blend = second * (1.0 - fade) + first * fade
    return np.concatenate((first, np.rint(blend).astype(np.int16), pcm[lag:]))


def _period(pcm: NDArray[np.int16], most: int) -> int | None:
    """Return after how many samples `pcm` repeats itself, `most` at the most.

    Searched for at a quarter of the rate first: that takes a tenth of the time.
    """
    if np.abs(pcm).max() <= _SILENT:
        return most
    x = pcm[: most + _COMPARED].astype(np.float64)
    rough = x[: len(x) // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    shortest = _SHORTEST // _COARSE
    found, likeness = _likest(rough, shortest, most // _COARSE, _COMPARED // _COARSE)
    if likeness < _ALIKE / 2:
        return None
    first, last = max(found * _COARSE - _COARSE, _SHORTEST), min((found + 1) * _COARSE, most)
    lag, likeness = _likest(x, first, last, _COMPARED)
    return lag if likeness >= _ALIKE else None


def _likest(x: NDArray[np.float64], first: int, last: int, compared: int) -> tuple[int, float]:
    """Return by which lag the first `compared` samples recur best, and how well, 1 at the most."""
    model = x[:compared]
    products = np.correlate(x[first : last + compared], model)
    power = np.concatenate(([0.0], np.cumsum(x * x)))
    powers = power[first + compared : last + compared + 1] - power[first : last + 1]
    likeness = products / np.sqrt(powers * power[compared] + 1.0)
    best = int(np.argmax(likeness))
    return first + best, float(likeness[best])
