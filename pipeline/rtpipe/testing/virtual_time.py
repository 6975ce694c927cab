"""Virtual time: an event loop on which hours pass in seconds and every run is the same."""

from __future__ import annotations

import asyncio
import random
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Executor

    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PATIENCE_S = 10.0
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class ThreadStuckError(RuntimeError):
    """What a thread was asked to do takes longer than was allowed."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that lets time jump where asyncio would have it sleep."""

    def __init__(self, thread_s: float | None) -> None:
        super().__init__()
        self.now = 0.0
        self.in_flight = 0
        self.thread_s = thread_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.in_flight:
            ready = super().select(self.thread_s)
            if not ready and self.thread_s is not None:
                raise ThreadStuckError(f"a thread has not come back for {self.thread_s:g} s")
            return ready
        if timeout is None:
            ready = super().select(_PATIENCE_S)
            if not ready:
                raise RuntimeError(
                    "every task waits, no timer is set and nothing came in from outside for "
                    f"{_PATIENCE_S:.0f} s: a deadlock"
                )
            return ready
        # On a grid of nanoseconds: sums of 20 ms stay equal to multiples of 20 ms.
        self.now = round(self.now + timeout, 9)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose `time()` starts at 0 and passes only while every task waits.

    A wait for a timer takes no real time: the clock jumps to it. While work is in an executor
    (`asyncio.to_thread`) the clock stands still and the loop really waits, so how long it takes
    has no influence on the result. Sockets and subprocesses work, but nothing holds the clock for
    them: a time-out set on one of them passes at once.

    Args:
        thread_s: How long work in an executor may take (real s). None: as long as it does.

    Attributes:
        chance: What `rtpipe.randomness()` gives on it: the same in every run.

    Raises:
        RuntimeError: Out of the running loop, when every task waits for something that cannot
            come (a deadlock), or work in an executor takes too long.
    """

    virtual = True
    """What `Clock.virtual` tells."""

    def __init__(self, *, thread_s: float | None = None) -> None:
        self._jumping = _JumpingSelector(thread_s)
        self.chance = random.Random(0)  # noqa: S311 - chance that is the same in every run
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._jumping.now

    def local_time(self) -> datetime:
        """Return the date and time that `rtpipe.local_time` tells on this loop."""
        return _BEGIN + timedelta(seconds=self.time())

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func(*args)` in a thread; the clock stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.in_flight += 1
        future.add_done_callback(self._landed)
        return future

    def _landed(self, _: asyncio.Future[Any]) -> None:
        self._jumping.in_flight -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - the base's signature; virtual seconds bound no thread
        """Wait for the default executor's threads, really."""
        self._jumping.in_flight += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.in_flight -= 1


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end in virtual time and return what it returns.

    Like `asyncio.run`, so not from within a running loop: call it from a plain test function.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def run_pipeline(pipeline: Pipeline, match: str | Iterable[str] = "*") -> list[Event]:
    """Run a whole pipeline to its end in virtual time: nothing in it waits for a clock.

    Args:
        pipeline: As `rtpipe.load` or `rtpipe.loads` gives it; not from within a running loop.
        match: Which events to return, by name or glob.

    Returns:
        The events that it published, in order.

    Raises:
        RtpipeError: What ended it.
    """
    events: list[Event] = []
    pipeline.bus.subscribe(match, events.append)
    run_virtual(pipeline.run())
    return events
