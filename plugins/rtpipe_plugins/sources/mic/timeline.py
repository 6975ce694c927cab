"""The microphone's timeline: what its devices gave, on the pipeline's time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe_plugins.sound.drift import SHORTENED, DriftControl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

_STEPS_ASIDE_S = 0.006
"""How far the device's clock may be from the pipeline's before its audio is brought to fit."""
_FADE_IN_S = 0.005
"""Of a device that takes another's place: without it, one hears a click."""


@dataclass(frozen=True, slots=True)
class Block:
    """Mono samples, shape (samples,), and the pipeline second of the first one.

    `device` is the same object for all that comes of one opening of a device.
    """

    data: NDArray[np.int16]
    captured_at: float
    device: object


class Timeline:
    """Puts blocks on the pipeline's time: pts that rise and stay with its clock.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._pts = 0
        self._began_at: float | None = None
        self._new_device()

    def _new_device(self) -> None:
        self.drift = DriftControl(tolerance_s=_STEPS_ASIDE_S)
        self._forget_samples()

    def _forget_samples(self) -> None:
        from rtpipe_plugins.sound.stretcher import Stretcher

        self._stretcher = Stretcher(1)

    @property
    def end_s(self) -> float:
        """The pipeline second at which the last frame ended."""
        return (self._began_at or 0.0) + self._pts / self._rate

    def jump_to(self, at: float) -> None:
        """Leave a hole up to pipeline second `at`, unless that has been given out already."""
        if self._began_at is None:
            self._began_at = at
        self._pts = max(self._pts, round((at - self._began_at) * self._rate))
        self.drift.jumped()
        self._forget_samples()

    def joined(self, block: Block) -> tuple[int, Block | None]:
        """Let another device begin where the one before ended.

        Returns:
            How many samples of silence belong between them, and what is left of the block; None:
            all of its time has been given out already.
        """
        ahead = round((self.end_s - block.captured_at) * self._rate)
        data = block.data[max(0, ahead) :]
        if not len(data):
            return 0, None
        self._new_device()
        at = block.captured_at + (len(block.data) - len(data)) / self._rate
        return max(0, -ahead), replace(block, data=_faded_in(data, self._rate), captured_at=at)

    def frame(self, block: Block) -> AudioFrame:
        """Return the frame for `block`, to follow the one before."""
        if self._began_at is None:
            self._began_at = block.captured_at
        length_s = len(block.data) / self._rate
        ahead_s = self.end_s - block.captured_at
        shorten = self.drift.update(ahead_s, length_s)
        data = self._stretcher.stretch(block.data[:, None], shorten)
        frame = audio.from_pcm(data[:, 0], sample_rate=self._rate, pts=self._pts)
        meta = audio.meta(frame)
        meta.captured_at = block.captured_at
        if shorten:
            meta.extra[SHORTENED] = shorten
        self._pts += frame.samples
        return frame

    def silence(self, samples: int) -> AudioFrame:
        """Return the next frame, silent."""
        frame = audio.silence(samples, pts=self._pts, sample_rate=self._rate)
        audio.meta(frame).captured_at = self.end_s
        self._pts += samples
        return frame


def _faded_in(data: NDArray[np.int16], sample_rate: int) -> NDArray[np.int16]:
    import numpy as np

    count = min(len(data), round(_FADE_IN_S * sample_rate))
    ramp = np.linspace(0.0, 1.0, count, endpoint=False)
    return np.concatenate((np.rint(data[:count] * ramp).astype(np.int16), data[count:]))
