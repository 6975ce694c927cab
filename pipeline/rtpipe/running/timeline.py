"""One stream out of several that each count their pts from 0: restarts, successive calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe.audio import AudioFrame
    from rtpipe.clock import Clock


class Timeline:
    """Keeps the pts of one stream rising when a new instance, or call, counts from 0 again.

    Args:
        clock: The pipeline's time, where the stream is live: what follows stands where the clock
            stands, so that the pause is a hole of the right length. None: it follows at once.
        began_at: The pipeline second of pts 0, where the stream is live. None: when its first
            frame comes.
    """

    def __init__(self, clock: Clock | None, began_at: float | None = None) -> None:
        self._clock = clock
        self._began_at = began_at
        self._end_s = 0.0
        self._shift_s = 0.0

    def place(self, frame: AudioFrame) -> None:
        """Move `frame` to its place in the whole stream."""
        if self._clock is not None and self._began_at is None:
            self._began_at = self._clock.now()
        if self._shift_s:
            frame.pts = (frame.pts or 0) + round(self._shift_s * frame.sample_rate)
        self._end_s = ((frame.pts or 0) + frame.samples) / frame.sample_rate

    def resume(self) -> None:
        """Say that the next frame is the first of a new instance."""
        self._shift_s = self._end_s
        if self._clock is not None and self._began_at is not None:
            self._shift_s = max(self._end_s, self._clock.now() - self._began_at)

    def taken_over(self, clock: Clock | None) -> Timeline:
        """Return the timeline of another stage that goes on with this stream.

        Args:
            clock: See above; that stage may be live where this one is not.
        """
        began_at = self._began_at
        if clock is not None and began_at is None and self._end_s:
            began_at = clock.now() - self._end_s
        successor = Timeline(clock, began_at)
        successor._end_s = self._end_s
        successor.resume()
        return successor
