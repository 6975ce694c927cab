"""Time stamps as testimony: which jumps in them are holes, and which cannot be true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import Event, Importance

if TYPE_CHECKING:
    from rtpipe import AudioFrame, StageContext

LONGEST_HOLES_S = 3600.0
"""What all holes of a stream may add up to, beside what was heard of it."""


@dataclass(frozen=True, kw_only=True)
class TimestampsRebased(Event):
    """Time stamps jumped further than can be true: the audio goes on without a hole.

    Told of the first jump, the second, the fourth, the eighth and so on.

    Attributes:
        jump_s: How far (s).
        jumps: How many so far.
    """

    importance = Importance.WARNING
    type: str = "timestamps.rebased"
    jump_s: float
    jumps: int

    def line(self) -> str:
        """See `Event.line`."""
        times = f" ({self.jumps} such jumps so far)" if self.jumps > 1 else ""
        return f"time stamps jumped by {self.jump_s:.0f} s: not believed, no hole is made{times}"


class HoleBudget:
    """Tells a hole from a wrong time stamp: what is told of a stream's time is testimony.

    The holes of a stream may add up to an allowance and the time that it has really taken, so that
    neither one jump of years nor thousands of minutes each make hours of silence out of nothing.

    Args:
        allowance_s: The allowance (s).
    """

    def __init__(self, allowance_s: float = LONGEST_HOLES_S) -> None:
        self._allowance_s = allowance_s
        self._spent_s = 0.0

    def believes(self, hole_s: float, elapsed_s: float) -> bool:
        """Return whether a hole of `hole_s` can be one, and remember it if so.

        Args:
            hole_s: How long it is said to be (s).
            elapsed_s: How long the stream has really taken until here (s).
        """
        believed = self._spent_s + hole_s <= self._allowance_s + elapsed_s
        if believed:
            self._spent_s += max(hole_s, 0.0)
        return believed


class JumpGuard:
    """Judges the jumps of a stage's input, and tells of those that it does not believe.

    Args:
        ctx: The stage's; a live stream may have been silent for as long as the pipeline runs.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx = ctx
        self._budget = HoleBudget()
        self._heard_s = 0.0
        self._jumps = 0

    def hole(self, samples: int, frame: AudioFrame) -> int:
        """Return how many samples are missing before `frame`, of `samples` by its time stamp."""
        heard_s = self._heard_s
        self._heard_s += frame.samples / frame.sample_rate
        if samples <= 0:
            return 0
        hole_s = samples / frame.sample_rate
        if self._budget.believes(hole_s, max(heard_s, self._ctx.now())):
            return samples
        self._jumps += 1
        if self._jumps & (self._jumps - 1) == 0:
            self._ctx.publish(TimestampsRebased(jump_s=round(hole_s, 3), jumps=self._jumps))
        return 0
