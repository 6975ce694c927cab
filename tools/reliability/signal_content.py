"""A signal in which every sample says where it belongs, and where what was recorded of it is.

Without a loss each place is found to the sample, by the values themselves; through a lossy codec by
cross-correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.int16]

RATE = 48_000
LONGEST_S = 60
_WINDOW = 4
_BLOCK = RATE // 2
_REACH = RATE // 10


@cache
def reference() -> Samples:
    """Return the whole signal: noise that a speech codec keeps, of which no sample is 0."""
    noise = np.random.default_rng(20261130).integers(-700, 701, LONGEST_S * RATE + 5)
    signal = np.convolve(noise, np.ones(6, np.int64), "valid").astype(np.int16)
    signal[signal == 0] = 1  # 0 is silence that somebody has filled in
    return signal


@dataclass(frozen=True, slots=True)
class Part:
    """Samples that follow each other in the signal, too.

    Attributes:
        at: Where they begin in the recording.
        of: Where they begin in the signal; None: it is silence.
        length: How many.
    """

    at: int
    of: int | None
    length: int


class Foreign(ValueError):  # noqa: N818 - a finding
    """Samples that are not of the signal."""


def parts_of(data: Samples) -> list[Part]:
    """Return of what a recording without loss is made, in order.

    Raises:
        Foreign: Something in it is neither of the signal nor silence.
    """
    parts: list[Part] = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            length, of = _leading(data[at:] == 0), None
        else:
            expected = None if not parts or parts[-1].of is None else parts[-1].of
            of, length = _longest(data[at:], expected)
        parts.append(Part(at, of, length))
        at += length
    return parts


def _longest(data: Samples, after: int | None) -> tuple[int, int]:
    signal = reference()
    if len(data) < _WINDOW:
        places = np.flatnonzero(signal == data[0])
    else:
        keys, order = _index()
        key = _keys(data[:_WINDOW])[0]
        places = order[np.searchsorted(keys, key) : np.searchsorted(keys, key, "right")]
    found = [
        (of, _leading(data[: len(signal) - of] == signal[of : of + len(data)])) for of in places
    ]
    if not found:
        raise Foreign(f"samples that nobody gave, after {after}: {data[:4]}")
    return max(found, key=lambda place: place[1])


def _leading(same: NDArray[np.bool_]) -> int:
    return len(same) if same.all() else int(np.argmin(same))


@cache
def _index() -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    keys = _keys(reference())
    order = np.argsort(keys)
    return keys[order], order


def _keys(data: Samples) -> NDArray[np.uint64]:
    words = data.view(np.uint16).astype(np.uint64)
    count = len(words) - _WINDOW + 1
    shifts = (np.uint64(16 * n) for n in range(_WINDOW))
    return np.sum([words[n : n + count] << shift for n, shift in enumerate(shifts)], 0, np.uint64)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a recording through a lossy codec compares with the signal.

    Attributes:
        shift: Samples by which it comes late, from its first block.
        wandering: By how many samples its blocks of half a second differ from that, at most.
        least: The least correlation of a block, 1 being the same.
    """

    shift: int
    wandering: int
    least: float


def likeness(data: Samples, begin: int = 0) -> Likeness:
    """Compare `data` with the signal from sample `begin` on, as far as there are whole blocks."""
    shifts, correlations = [], []
    signal = np.pad(reference().astype(np.float64), (_REACH, _REACH))
    for at in range(0, len(data) - _BLOCK + 1, _BLOCK):
        block = data[at : at + _BLOCK].astype(np.float64)
        near = signal[begin + at : begin + at + _BLOCK + 2 * _REACH]
        size = len(near)
        product = np.fft.irfft(np.fft.rfft(near) * np.conj(np.fft.rfft(block, size)), size)
        product = product[: 2 * _REACH + 1]
        place = int(np.argmax(product))
        of = near[place : place + _BLOCK]
        scale = np.linalg.norm(block) * np.linalg.norm(of)
        correlations.append(float(block @ of / scale) if scale else 0.0)
        shifts.append(_REACH - place)
    if not shifts:
        return Likeness(0, 0, 1.0)
    return Likeness(shifts[0], max(abs(s - shifts[0]) for s in shifts), min(correlations))


def read(path: Path) -> Samples:
    """Return the samples of the first track of a file, as far as they can be read.

    Raises:
        av.FFmpegError, IndexError: It does not open, or has no track.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("s16", "mono", RATE)
        pieces = []
        for frame in container.decode(stream):
            pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int16)
