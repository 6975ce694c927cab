"""Where frames go in a stream that is never silent for want of a frame: arithmetic, no sound.

Times are samples of the stream's rate, but for the clock's, which are pipeline seconds.
"""

from __future__ import annotations

_LONGEST_HOLE_S = 10.0
"""A jump in time beyond that is none: the stream goes on where it is."""


class Placement:
    """How much silence stands where.

    A hole in the frames' pts is silence of its length. While nothing comes, silence follows the
    clock; the hole that it was given out for is as much shorter when it shows. So the stream is as
    long as the media time since it began, however late a frame comes, and no frame is cut.

    Args:
        rate: Samples a second.
        now: When the stream begins.
        behind_s: Silence is given out so late after the clock: what comes meanwhile has its place.
    """

    def __init__(self, rate: int, now: float, behind_s: float) -> None:
        self._rate = rate
        self._behind_s = behind_s
        self._began_at = self._heard_at = now
        self._given = 0
        self._given_since = 0
        """Silence by the clock since the last frame."""
        self._ahead = 0
        """Silence by the clock that no hole has accounted for yet."""
        self._end_pts: int | None = None

    def before(self, pts: int, samples: int, now: float) -> int:
        """Take note of a frame; returns how much silence stands before it."""
        hole = 0 if self._end_pts is None else pts - self._end_pts
        if self._end_pts is None or hole < 0 or abs(hole - self._ahead) > self._longest:
            hole = self._ahead = 0  # another clock, from now on
        silence = max(0, hole - self._ahead)
        self._ahead = max(0, self._ahead - hole)
        self._end_pts = pts + samples
        self._given += silence + samples
        self._given_since = 0
        self._heard_at = now
        return silence

    def due(self, now: float) -> int:
        """Return how much silence is to be given out now, since nothing comes.

        None where the stream has more than the clock: what came early is still to be heard. None
        for a clock that is slower than ours, as long as its frames come.
        """
        by_the_stream = (now - self._began_at - self._behind_s) * self._rate - self._given
        by_the_frame = (now - self._heard_at - self._behind_s) * self._rate - self._given_since
        silence = max(0, round(min(by_the_stream, by_the_frame)))
        self._given += silence
        self._given_since += silence
        self._ahead += silence
        return silence

    @property
    def _longest(self) -> float:
        return _LONGEST_HOLE_S * self._rate
