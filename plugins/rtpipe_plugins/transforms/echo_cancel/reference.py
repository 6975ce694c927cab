"""The far-end reference: what the loudspeaker is given, beside what the microphone hears."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import CANONICAL, Converter, audio
from rtpipe_plugins.sound.stretcher import Stretcher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

_RATE = 48_000
_MS = _RATE // 1000
_MOST = 1000 * _MS
"""More than this is never kept: nobody takes it, the microphone is gone."""
_RESERVE = 40 * _MS
"""By how much a stream may be late without a gap. Less than any loudspeaker's own buffer: the
reference may be early, the canceller finds that out, but it must never come after its echo."""
_SURPLUS = 80 * _MS
_WINDOW = 2 * _RATE


class Reference:
    """A queue between two devices that run at the same speed and give and take unevenly.

    The distance between sound and echo must stay the same, so it does what a loudspeaker's buffer
    does: it begins with a reserve, gives silence where nothing has come, and gives late what came
    late. What nobody needed for two seconds is dropped.

    Args:
        delay_ms: By how much everything is given later than it was heard (ms).
    """

    def __init__(self, delay_ms: float = 0.0) -> None:
        self._converter = Converter(CANONICAL)
        self._heard = np.zeros(0, np.int16)
        self._missed = _MOST
        self._delayed = np.zeros(round(delay_ms * _MS), np.int16)
        self._stretcher = Stretcher(1)
        self._fitted = np.zeros(0, np.int16)
        self._least = _MOST
        self._taken = 0

    @property
    def depth(self) -> int:
        """How much was heard and not yet taken (samples)."""
        return len(self._heard)

    def hear(self, frame: AudioFrame) -> None:
        """Take note of a frame, of any format, that the loudspeaker was given."""
        made = [audio.pcm(each)[:, 0] for each in self._converter.process(frame)]
        if self._missed >= _MOST:
            made.insert(0, np.zeros(_RESERVE, np.int16))
        self._missed = 0
        self._heard = np.concatenate([self._heard, *made])[-_MOST:]

    def take(self, count: int, shortened: float = 0.0) -> NDArray[np.int16]:
        """Return the `count` samples of 48 kHz mono that belong to the next ones captured.

        Args:
            count: How many were captured.
            shortened: By which part of its length the microphone has made them shorter, to fit the
                pipeline's clock. What was played is made shorter alike: only the devices' own
                samples keep the distance between a sound and its echo.
        """
        while len(self._fitted) < count:
            due = self._next(math.ceil((count - len(self._fitted)) / (1.0 - shortened)))
            fitted = self._stretcher.stretch(due[:, None], shortened)[:, 0]
            self._fitted = np.concatenate([self._fitted, fitted])
        given, self._fitted = self._fitted[:count], self._fitted[count:]
        return given

    def _next(self, count: int) -> NDArray[np.int16]:
        due = np.zeros(count, np.int16)
        ready = self._heard[:count]
        due[: len(ready)] = ready
        self._heard = self._heard[count:]
        self._missed += count - len(ready)
        self._trim(count)
        if not len(self._delayed):
            return due
        line = np.concatenate([self._delayed, due])
        self._delayed = line[count:]
        return line[:count]

    def _trim(self, count: int) -> None:
        self._least = min(self._least, self.depth)
        self._taken += count
        if self._taken < _WINDOW:
            return
        if self._least > _SURPLUS:
            self._heard = self._heard[self._least - _RESERVE :]
        self._least, self._taken = _MOST, 0
