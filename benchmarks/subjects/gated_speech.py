"""The work of the batch section without any pipeline: gain, voice detection, a gate; numpy alone.

The same samples come out as from `gain: -3`, `vad: 2` and `mute_gate: vad`, whatever the block.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import _webrtcvad as webrtc
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE = 48_000
UNIT = 960
"""20 ms: what is judged at a time."""
HEADER = 44
"""Bytes of a WAV file before its samples."""
PREROLL = 15 * UNIT
_FADE = 240
_ONSET = 3
_HANG_OVER = 25


def softer(block: NDArray[np.int16], scratch: NDArray[np.float32]) -> None:
    """Take 3 dB off, in place."""
    np.multiply(block, np.float32(10 ** (-3 / 20)), out=scratch)
    np.rint(scratch, out=scratch)
    block[:] = scratch


class Detector:
    """Tells for each 20 ms whether somebody speaks, after onset and hang-over."""

    def __init__(self) -> None:
        self._webrtc = webrtc.create()
        webrtc.init(self._webrtc)
        webrtc.set_mode(self._webrtc, 2)
        self._ones = np.ones(3, np.float32)
        self._voiced = self._silent = 0
        self._speaking = False

    def hear(self, block: NDArray[np.int16]) -> list[bool]:
        """Return the verdicts on whole units."""
        sums = np.dot(block.reshape(-1, 3), self._ones)
        data = (sums * np.float32(1 / 3)).astype(np.int16).tobytes()
        return [self._judged(data[at : at + 640]) for at in range(0, len(data), 640)]

    def _judged(self, unit: bytes) -> bool:
        if webrtc.process(self._webrtc, 16_000, unit, 320):
            self._silent = 0
            self._voiced += 1
            if self._voiced >= _ONSET:
                self._speaking = True
        else:
            self._voiced = 0
            self._silent += 1
            if self._silent >= _HANG_OVER:
                self._speaking = False
        return self._speaking


class Gate:
    """Lets speech through from 300 ms before it was told; fades for 5 ms."""

    def __init__(self) -> None:
        self._speaking = self._open = False
        self._changes: deque[tuple[int, bool]] = deque()
        self._held: deque[NDArray[np.int16]] = deque()
        self._begin = self._end = 0  # of what is held
        self._level: int | None = None  # of _FADE; as it stands where the stream begins

    def process(
        self, block: NDArray[np.int16], verdicts: list[bool]
    ) -> Iterator[NDArray[np.int16]]:
        """Yield the blocks that are decided; each is kept until then."""
        end = self._end
        for speaking in verdicts:
            end += UNIT
            if speaking is not self._speaking:
                self._speaking = speaking
                self._schedule(end)
        self._held.append(block)
        self._end += len(block)
        while self._held and self._begin + len(self._held[0]) <= self._end - PREROLL:
            yield self._gated(self._held.popleft())

    def finish(self) -> Iterator[NDArray[np.int16]]:
        """Yield what is held."""
        while self._held:
            yield self._gated(self._held.popleft())

    def _schedule(self, at: int) -> None:
        if not self._speaking:
            self._changes.append((at, False))
        elif self._changes and self._changes[-1][0] >= at - PREROLL:
            self._changes.pop()
        else:
            self._changes.append((at - PREROLL, True))

    def _gated(self, block: NDArray[np.int16]) -> NDArray[np.int16]:
        at, end = self._begin, self._begin + len(block)
        while self._changes and self._changes[0][0] < end:
            change, is_open = self._changes.popleft()
            if change > at:
                self._fade(block[at - self._begin : change - self._begin])
                at = change
            self._open = is_open
        self._fade(block[at - self._begin :])
        self._begin = end
        return block

    def _fade(self, samples: NDArray[np.int16]) -> None:
        target, step = (_FADE, 1) if self._open else (0, -1)
        if self._level is None:
            self._level = target
        count = min(len(samples), abs(target - self._level))
        if count:
            way = (self._level + step * np.arange(1, count + 1)) / _FADE
            samples[:count] = np.rint(samples[:count] * way.astype(np.float32))
            self._level += step * count
        if not self._open:
            samples[count:] = 0
