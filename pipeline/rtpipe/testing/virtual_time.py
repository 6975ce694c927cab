"""Virtual time: an event loop on which hours pass in seconds and every run is the same."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import selectors
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Executor

    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PATIENCE_S = 10.0
_JOB_S = 0.2
"""How long a thread may take before others work beside it: it may wait for one of them."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class _Job:
    """A call in a thread, which waits there for its turn, and who waits for what it returns."""

    def __init__(
        self, executor: Executor, call: Callable[[], Any], waiting: asyncio.Future[Any]
    ) -> None:
        self._call = call
        self._waiting = waiting
        self._turn = threading.Event()
        # At once: an executor may be told right after this that nothing more will come.
        self._working = executor.submit(self._work)
        waiting.add_done_callback(lambda _: self._working.cancel())

    def _work(self) -> Any:
        self._turn.wait()
        return self._call()

    def begin(self) -> None:
        """Let the thread make the call."""
        self._turn.set()

    def done(self) -> bool:
        """Let the thread make the call; return whether it was made within `_JOB_S` and told."""
        self.begin()
        concurrent.futures.wait([self._working], _JOB_S)
        if not self._working.done():
            return False
        if self._waiting.done():
            return True
        if self._working.cancelled():
            self._waiting.cancel()
            return True
        error = self._working.exception()
        if error is None:
            self._waiting.set_result(self._working.result())
        elif isinstance(error, StopIteration):  # no future takes it
            self._waiting.set_exception(RuntimeError(f"{error!r} came out of a thread"))
        else:
            self._waiting.set_exception(error)
        return True


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that lets time jump where asyncio would have it sleep, and threads work.

    They work one after another while all tasks wait, and are told of in that order: how fast one is
    changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.in_flight = 0
        self.jobs: list[_Job] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.jobs:
            done = next((job for job in self.jobs if job.done()), None)
            if done is not None:
                self.jobs.remove(done)
            return super().select(0 if done is not None else _JOB_S)
        if self.in_flight:
            return super().select(None)
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

    A wait for a timer takes no real time: the clock jumps to it. Work for an executor
    (`asyncio.to_thread`) begins when every task waits, one piece after another, and the clock
    stands still meanwhile, so how long it takes has no influence on the result. Sockets and
    subprocesses work, but nothing holds the clock for them: a time-out set on one of them passes
    at once.

    Raises:
        RuntimeError: Out of the running loop, when every task waits for something that cannot
            come (a deadlock).
    """

    virtual = True
    """What `Clock.virtual` tells."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
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
        """Run `func(*args)` in a thread, as soon as every task waits; the clock stands still."""
        if executor is None:
            if self._threads is None:
                self._threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="virtual")
                self.set_default_executor(self._threads)
            executor = self._threads
        waiting: asyncio.Future[T] = self.create_future()
        self._jumping.jobs.append(_Job(executor, partial(func, *args), waiting))
        return waiting

    def close(self) -> None:
        """Close the loop; what threads have not begun they do now, unheard."""
        for job in self._jumping.jobs:
            job.begin()
        super().close()

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
