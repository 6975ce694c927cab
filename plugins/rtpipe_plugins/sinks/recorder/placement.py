"""Where the frames of a stream belong on a recording's timeline of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import CANONICAL, audio

if TYPE_CHECKING:
    from rtpipe import AudioFrame
    from rtpipe_plugins.sound.time_stamps import JumpGuard

_RATE = CANONICAL.sample_rate or 0
_WINDOW = 10 * _RATE
_TOLERANCE = _RATE // 200


class Placement:
    """Places one stream: by its own count of samples, kept to the pipeline's clock when live.

    Args:
        zero_s: The pipeline second that is 0 in the recording.
        guard: Judges the jumps of its time stamps.
        live: Whether the stream moves by the clock; else it begins where its pts says.
    """

    def __init__(self, zero_s: float, guard: JumpGuard, *, live: bool) -> None:
        self._zero_s = zero_s
        self._guard = guard
        self._live = live
        self._origin = 0
        self._next_pts: int | None = None
        self._end = 0
        self._drift = Drift(window=_WINDOW, tolerance=_TOLERANCE)

    def place(self, frame: AudioFrame, now_s: float, *, quiet: bool) -> int:
        """Return the sample at which `frame` begins; negative before the recording does.

        Args:
            frame: The next of the stream.
            now_s: The pipeline's time.
            quiet: Whether nobody would hear a hole before it.
        """
        pts = frame.pts or 0
        if self._next_pts is None or pts < self._next_pts:  # the first, or its source began anew
            self._origin = max(-pts, 0)
            if self._live:
                self._origin = round((began_at(frame, now_s) - self._zero_s) * _RATE) - pts
            self._drift = Drift(window=_WINDOW, tolerance=_TOLERANCE)
        self._next_pts = pts + frame.samples
        jump = self._origin + pts - self._end
        if jump > 0:
            self._origin -= jump - self._guard.hole(jump, frame)
        captured_at = audio.meta(frame).captured_at
        if self._live and captured_at is not None:
            captured = round((captured_at - self._zero_s) * _RATE)
            self._origin += self._drift.correction(self._origin + pts, captured, quiet=quiet)
        self._end = self._origin + pts + frame.samples
        return self._origin + pts


def began_at(frame: AudioFrame, now_s: float) -> float:
    """Return the pipeline second of a live frame's first sample."""
    captured_at = audio.meta(frame).captured_at
    return now_s if captured_at is None else captured_at


class Drift:
    """How far a stream's count of samples moves away from the pipeline's clock.

    A device's clock is some ten millionths wrong: a third of a second in an hour. A frame may be
    told of late, but hardly early, so the least lateness of a window is what counts.

    Args:
        window: How long to look before judging, in samples.
        tolerance: What is left as it is, in samples.
    """

    def __init__(self, *, window: int, tolerance: int) -> None:
        self._window = window
        self._tolerance = tolerance
        self._ends = 0
        self._least: int | None = None
        self._owed = 0

    def correction(self, at: int, captured: int, *, quiet: bool) -> int:
        """Return by how many samples the stream is to be moved from here on; mostly 0.

        Args:
            at: Where a frame stands by its own count.
            captured: Where it stands by the clock.
            quiet: Whether nobody would hear a hole here.
        """
        late = captured - at
        if self._least is None:
            self._ends = at + self._window
        self._least = late if self._least is None else min(self._least, late)
        overdue = False
        if at >= self._ends:
            overdue, self._owed = self._owed != 0, self._least
            self._least = None
        if abs(self._owed) <= self._tolerance or not (quiet or overdue):
            return 0
        owed, self._owed, self._least = self._owed, 0, None
        return owed
