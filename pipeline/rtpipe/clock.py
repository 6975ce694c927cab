"""The pipeline's time: seconds since it started, by a monotonic clock, never the wall's."""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from rtpipe.fiber import Gate

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Pipeline seconds by the running event loop.

    The loop is what is injected: on asyncio's own loops this is `time.monotonic`, on
    `rtpipe.testing.VirtualLoop` hours pass in seconds and every time-out with them. Made where no
    loop runs, it stands at 0 until it is started, or first waited for.
    """

    def __init__(self) -> None:
        self._time: Callable[[], float] = float
        self._began = 0.0
        self._ticker: Ticker | None = None
        with suppress(RuntimeError):  # no loop runs yet
            self.start()

    def start(self) -> None:
        """Begin to count, from 0, by the running event loop.

        Raises:
            RuntimeError: No loop runs.
        """
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._began = self._time()
        self._ticker = ticker_of(loop)

    @property
    def virtual(self) -> bool:
        """Whether time passes only while all wait, as in a test: what is outside has another."""
        loop = None if self._ticker is None else self._ticker.loop
        return bool(getattr(loop, "virtual", False))

    def now(self) -> float:
        """Return the seconds since the pipeline started."""
        return self._time() - self._began

    async def sleep_until(self, at: float) -> None:
        """Wait until pipeline second `at`; returns at once when it has passed.

        All who wait for the same moment are woken together, those of other pipelines on the same
        loop, too: a stage that follows a `next_tick` in steps of its period has no wake-up of its
        own to pay for. How late one wait ends does not move the next, which says its own `at`.
        """
        loop, ticker = asyncio.get_running_loop(), self._ticker
        if ticker is None:
            self.start()
        if ticker is None or ticker.loop is not loop:  # a loop of a thread of the stage's own
            ticker = ticker_of(loop)
        at += self._began
        if at > self._time():
            await ticker.reach(at)

    def next_tick(self, period_s: float) -> float:
        """Return when the next tick of `period_s` is, in pipeline seconds.

        Sources without a clock of their own start on it, so that they wake up together: a wake-up
        costs more than all stages of a pipeline. All pipelines on an event loop share the ticks:
        they are the multiples of `period_s` by the loop's time.
        """
        return math.ceil(self._time() / period_s) * period_s - self._began


class Ticker:
    """The timers that the clocks on one event loop wait for: one for each moment, not each wait.

    Who waits for a moment is woken in its one callback, in the order of coming. A moment that
    nobody waits for any more has no timer.

    Args:
        loop: The loop; only its own tasks may wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._moments: dict[int, _Moment] = {}
        self._gates: WeakKeyDictionary[asyncio.Task[Any] | None, Gate] = WeakKeyDictionary()
        """Where each task waits: a fiber that comes back to one gate is resumed in place there."""

    async def reach(self, at: float) -> None:
        """Wait until second `at` of the loop's time."""
        try:
            key = round(at * 1_000_000)  # sums of 20 ms differ by less than a microsecond
        except OverflowError:
            key = -1  # infinity
        moment = self._moments.get(key)
        if moment is None:
            timer = self.loop.call_at(at, self._wake, key)
            moment = self._moments[key] = _Moment(timer)
        task = asyncio.current_task()
        gate = self._gates.get(task)
        if gate is None:
            gate = self._gates[task] = Gate()
        moment.waiting[gate] = None
        try:
            while gate in moment.waiting:
                await gate
        except BaseException:  # cancelled
            self._leave(key, moment, gate)
            raise

    def _wake(self, key: int) -> None:
        moment = self._moments.pop(key)
        waiting, moment.waiting = moment.waiting, {}
        for gate in waiting:
            gate.open()

    def _leave(self, key: int, moment: _Moment, gate: Gate) -> None:
        moment.waiting.pop(gate, None)
        if not moment.waiting and self._moments.get(key) is moment:
            del self._moments[key]
            moment.timer.cancel()


class _Moment:
    """A moment that somebody waits for; the gates of the waiting, in the order of coming."""

    __slots__ = ("timer", "waiting")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.timer = timer
        self.waiting: dict[Gate, None] = {}


_tickers: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Ticker]] = WeakKeyDictionary()
"""Weak at both ends: a ticker holds its loop, and clocks hold their ticker."""


def ticker_of(loop: asyncio.AbstractEventLoop) -> Ticker:
    """Return the ticker of `loop`, which lives as long as a clock holds it."""
    known = _tickers.get(loop)
    ticker = None if known is None else known()
    if ticker is None:
        ticker = Ticker(loop)
        _tickers[loop] = ref(ticker)
    return ticker


def local_time() -> datetime:
    """Return the date and time where this machine is; of its own choosing on a virtual clock.

    There it is midnight of 2026-01-01 in UTC when the loop begins, so that every run is the same.
    Threads have the machine's.
    """
    told = getattr(_running_loop(), "local_time", None)
    return datetime.now(UTC).astimezone() if told is None else told()


def randomness() -> random.Random:
    """Return what is left to chance comes from: the operating system.

    On a virtual clock it comes from the loop, the same in every run. Threads have the system's.
    """
    chance: random.Random = getattr(_running_loop(), "chance", _CHANCE)
    return chance


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


_CHANCE = random.SystemRandom()
_MADE = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock of a machine that runs this is before it."""
_TIMESYNC = Path("/run/systemd/timesync")
_CLOCKS = Path("/sys/class/rtc")


def wall_clock_problem() -> str:
    """Return why the machine's date cannot be right; "" where nothing speaks against it.

    A machine without a clock of its own (a Raspberry Pi) begins where it was switched off, or in
    1970, until it has asked the network. It is known to be one of those while systemd-timesyncd
    has not asked yet.
    """
    if datetime.now(UTC) < _MADE:
        return f"it is {datetime.now(UTC):%Y}, says this machine: its clock is not set"
    asks = _TIMESYNC.is_dir() and not (_TIMESYNC / "synchronized").exists()
    if asks and not any(_CLOCKS.glob("rtc*")):
        return "this machine has no clock of its own, and has not asked the network for the time"
    return ""
