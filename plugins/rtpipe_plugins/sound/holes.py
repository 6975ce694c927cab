"""Gap filling: silence where a stream has a hole, for what takes samples and no time stamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import audio
from rtpipe_plugins.sound.time_stamps import JumpGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext


class GapFiller:
    """Makes one stream of packed samples gapless; it begins with its first frame.

    Args:
        ctx: The stage's, for which it does so.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._guard = JumpGuard(ctx)
        self._expected: int | None = None

    def filled(self, frame: AudioFrame) -> Iterator[NDArray[Any]]:
        """Yield what follows the frame before: silence, at most a second at a time, and `frame`.

        Shape (samples, channels), in the frame's own type.
        """
        data, pts, rate = audio.pcm(frame), frame.pts or 0, frame.sample_rate
        jump = 0 if self._expected is None else pts - self._expected
        hole = self._guard.hole(jump, frame)
        self._expected = pts + frame.samples
        silent = 128 if data.dtype == np.uint8 else 0
        for filled in range(0, hole, rate):
            yield np.full((min(rate, hole - filled), data.shape[1]), silent, data.dtype)
        yield data
