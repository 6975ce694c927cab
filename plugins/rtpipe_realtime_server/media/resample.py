"""Audio of any rate to another: the 16 kHz of the detector and the brain, if no other is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from rtpipe import audio

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16000


class Resampler:
    """Turns one stream into mono s16 of one rate; the filter holds a millisecond back.

    Args:
        rate: Of the samples that `samples` and `whole` take; frames know their own.
        to_rate: Of the samples that come out.
    """

    def __init__(self, rate: int = 48000, to_rate: int = RATE) -> None:
        self.rate = rate
        self._to_rate = to_rate
        self._held = 0
        """What went in and has not come out, in samples of both rates multiplied."""
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=to_rate)

    @property
    def held_ms(self) -> float:
        """Length of what went in by `samples` and has not come out."""
        return 1000 * self._held / (self.rate * self._to_rate)

    def frame(self, frame: av.AudioFrame) -> NDArray[np.int16]:
        """Return what comes out when `frame` goes in; a hole in its pts is not filled."""
        frame.pts = None
        return self._samples(self._resampler.resample(frame))

    def samples(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return what comes out when mono samples go in."""
        if not len(pcm):
            return pcm
        out = self.frame(audio.from_pcm(pcm, sample_rate=self.rate, pts=0))
        self._held += len(pcm) * self._to_rate - len(out) * self.rate
        return out

    def rest(self) -> NDArray[np.int16]:
        """Return what is still to come out; nothing may go in after that."""
        return self._samples(self._resampler.resample(None))

    def whole(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return all of a piece that stands alone."""
        return np.concatenate([self.samples(pcm), self.rest()])

    @staticmethod
    def _samples(frames: list[av.AudioFrame]) -> NDArray[np.int16]:
        pieces = [frame.to_ndarray()[0].astype(np.int16, copy=False) for frame in frames]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
