"""Real-time pace for stages that have no clock of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe import AudioFrame, StageContext


class Pacer:
    """Lets frames pass as fast as they play, by their pts: an error never adds up.

    The first frame passes on a tick that all pipelines of the event loop share, so that all paced
    stages wake up together.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._clock = ctx.clock
        self._tick_s = ctx.frame_ms / 1000
        self._origin_s: float | None = None

    async def wait(self, frame: AudioFrame) -> float:
        """Wait until `frame` is due; returns the pipeline second of its first sample."""
        return await self.reach((frame.pts or 0) / frame.sample_rate)

    async def reach(self, position_s: float) -> float:
        """Wait until that second of the stream is due; returns the pipeline second of it."""
        if self._origin_s is None:
            self._origin_s = self._clock.next_tick(self._tick_s) - position_s
        due_s = self._origin_s + position_s
        await self._clock.sleep_until(due_s)
        return due_s
