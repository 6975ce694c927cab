"""Turn detection (VAD with hang-over): where a visitor's turns begin and end, in 32 ms hops.

The arithmetic of OpenAI's recorded positions: a turn starts at the start of its first hop of
speech, less the padding; it ends with the hop that completes the silence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtpipe_realtime_server.media.detector import HOP, HOP_MS, IsSpeech

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_realtime_server.session.session import TurnDetection

ONSET_HOPS = 3
_PAUSE_HOPS = 6
"""A silence of 192 ms may be the turn's last; most within and between words are shorter."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The visitor began to speak at `at_ms`, padding subtracted."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The visitor's turn ended at `at_ms`, silence included."""

    at_ms: int


class TurnDetector:
    """Follows one stream of mono 16 kHz audio."""

    def __init__(self, is_speech: IsSpeech) -> None:
        self._is_speech = is_speech
        self._rest = np.zeros(0, np.int16)
        self._hops = 0
        self._speaking = False
        self._run = 0
        """Hops in a row that speak for a change: of speech in silence, of silence in speech."""

    @property
    def now_ms(self) -> int:
        """Length of the audio judged so far."""
        return self._hops * HOP_MS

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._speaking

    @property
    def paused(self) -> bool:
        """Whether a turn has begun that may be over: nothing has been said for a while."""
        return self._speaking and self._run >= _PAUSE_HOPS

    def reset(self) -> None:
        """Forget a turn that has begun; the clock goes on."""
        self._speaking = False
        self._run = 0

    def feed(
        self, pcm: NDArray[np.int16], settings: TurnDetection | None
    ) -> list[TurnStarted | TurnStopped]:
        """Take the next samples and return the turns that began or ended with them.

        Args:
            pcm: Any number of samples, mono, 16 kHz.
            settings: None when the client ends turns itself; then only the clock goes on.
        """
        samples = np.concatenate([self._rest, pcm])
        count = len(samples) // HOP
        self._rest = samples[count * HOP :]
        changes: list[TurnStarted | TurnStopped] = []
        for hop in samples[: count * HOP].reshape(count, HOP):
            self._hops += 1
            if settings is None:
                self.reset()
                continue
            change = self._judge(self._is_speech(hop, settings.threshold), settings)
            if change:
                changes.append(change)
        return changes

    def _judge(
        self,
        speech: bool,  # noqa: FBT001 - the verdict on a hop
        settings: TurnDetection,
    ) -> TurnStarted | TurnStopped | None:
        self._run = self._run + 1 if speech != self._speaking else 0
        needed = ONSET_HOPS
        if self._speaking:
            needed = max(1, math.ceil(settings.silence_duration_ms / HOP_MS))
        if self._run < needed:
            return None
        self._speaking = not self._speaking
        self._run = 0
        if not self._speaking:
            return TurnStopped(self.now_ms)
        start = self.now_ms - ONSET_HOPS * HOP_MS - settings.prefix_padding_ms
        return TurnStarted(max(0, start))
