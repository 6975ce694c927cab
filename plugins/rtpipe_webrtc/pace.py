"""Pacing: slots of 20 ms, the same for everything that leaves."""

from __future__ import annotations

from typing import Protocol

RATE = 48_000
SLOT_SAMPLES = 960
SLOT_S = SLOT_SAMPLES / RATE
_LATE_SLOTS = 10


class Pace(Protocol):
    """The clock that frames are paced by; `rtpipe.Clock` is one."""

    def now(self) -> float:
        """Return seconds."""
        ...

    async def sleep_until(self, at: float) -> None:
        """Wait until second `at`."""
        ...

    def next_tick(self, period_s: float) -> float:
        """Return the second of the next tick of `period_s`, which all of the process share."""
        ...


class Slots:
    """Hands out 20 ms slots of a clock, each once, none early.

    They begin at its ticks: all calls of a process send in one wake-up.

    A slot that is more than 200 ms late is skipped together with those up to now: the far end gets
    a jump in time instead of a burst, which it would have to buffer for ever.
    """

    def __init__(self, clock: Pace) -> None:
        self._clock = clock
        self._start: float | None = None
        self._next = 0

    async def next(self) -> int:
        """Wait for the next slot and return its number."""
        slot, at = self.claim()
        await self._clock.sleep_until(at)
        return slot

    def claim(self) -> tuple[int, float]:
        """Return the next slot and when it begins, without waiting for it."""
        if self._start is None:
            self._start = self._clock.next_tick(SLOT_S)
        now = int((self._clock.now() - self._start) / SLOT_S)
        if now - self._next > _LATE_SLOTS:
            self._next = now
        slot = self._next
        self._next += 1
        return slot, self._start + slot * SLOT_S
