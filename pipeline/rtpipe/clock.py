"""The pipeline's time: seconds since it started, by a monotonic clock, never the wall's."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Pipeline seconds by the running event loop.

    The loop is what is injected: on asyncio's own loops this is `time.monotonic`, on
    `rtpipe.testing.VirtualLoop` hours pass in seconds and every time-out with them. Made where no
    loop runs, it stands at 0 until it is started.
    """

    def __init__(self) -> None:
        self._time: Callable[[], float] = float
        self._began = 0.0
        with suppress(RuntimeError):  # no loop runs yet
            self.start()

    def start(self) -> None:
        """Begin to count, from 0, by the running event loop.

        Raises:
            RuntimeError: No loop runs.
        """
        self._time = asyncio.get_running_loop().time
        self._began = self._time()

    def now(self) -> float:
        """Return the seconds since the pipeline started."""
        return self._time() - self._began

    async def sleep_until(self, at: float) -> None:
        """Wait until pipeline second `at`; returns at once when it has passed."""
        delay = at - self.now()
        if delay > 0:
            await asyncio.sleep(delay)

    def next_tick(self, period_s: float) -> float:
        """Return the next multiple of `period_s`.

        Sources without a clock of their own start on it, so that they wake up together: a wake-up
        costs more than all stages of a pipeline.
        """
        return math.ceil(self.now() / period_s) * period_s
