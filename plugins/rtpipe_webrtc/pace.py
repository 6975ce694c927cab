"""Pacing: slots of 20 ms, the same for everything that leaves."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

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


class Pacing(Generic[T]):
    """Has something sent in each slot, by timer; a slot whose content is there may go earlier.

    Args:
        clock: The clock of `slots`; runs as the event loop's does.
        slots: When to send.
        send: Sends in the slot of a number what was brought forward, or, given None, what is there.
    """

    def __init__(self, clock: Pace, slots: Slots, send: Callable[[int, T | None], None]) -> None:
        self._clock = clock
        self._slots = slots
        self._send = send
        self._claimed = (0, 0.0)
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Send, until `send` raises; raises the same."""
        self._over = asyncio.get_running_loop().create_future()
        self._claimed = self._slots.claim()
        self._go_on()
        try:
            await self._over
        finally:
            self._over = None
            if self._timer is not None:
                self._timer.cancel()

    def nudge(self, take: Callable[[], T | None]) -> None:
        """Send in the next slot at once, if that begins within 20 ms and `take` has its content."""
        if self._over is None or self._claimed[1] - self._clock.now() > SLOT_S:
            return
        with self._failing():
            content = take()
            if content is not None:
                self._leave(content)
                self._go_on()

    def _go_on(self) -> None:
        """Send what is due, and wait for the next slot."""
        over = self._over
        if over is None or over.done():
            return
        if self._timer is not None:
            self._timer.cancel()
        with self._failing():
            while (wait_s := self._claimed[1] - self._clock.now()) <= 0:
                self._leave(None)
            self._timer = over.get_loop().call_later(wait_s, self._go_on)

    def _leave(self, content: T | None) -> None:
        slot, _ = self._claimed
        self._claimed = self._slots.claim()
        self._send(slot, content)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `run` raises it
            if self._over is not None and not self._over.done():
                self._over.set_exception(error)
