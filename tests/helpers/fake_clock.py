"""A clock that no test waits for."""

from __future__ import annotations


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 100.0
        self.overslept = 0.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        self.time = max(self.time, at) + self.overslept

    def next_tick(self, period_s: float) -> float:
        return self.time
