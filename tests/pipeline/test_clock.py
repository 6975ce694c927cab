"""Pipeline seconds, and the ticks that all pipelines of an event loop share."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from helpers.actors import loads
from rtpipe import Clock
from rtpipe.clock import ticker_of
from rtpipe.testing import VirtualLoop, run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class CountingLoop(VirtualLoop):
    """Keeps the timers that are set on it."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        self.timers.append(super().call_at(when, callback, *args, **kwargs))
        return self.timers[-1]


def run_counting(main: Coroutine[Any, Any, None]) -> list[asyncio.TimerHandle]:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(main)
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        return loop.timers


async def ticking(clock: Clock, ticks: int, told: Callable[[], None] = lambda: None) -> None:
    first = clock.next_tick(0.02)
    for n in range(ticks):
        await clock.sleep_until(first + n * 0.02)
        told()


def test_all_who_wait_for_a_moment_share_its_timer() -> None:
    woken: list[tuple[float, str]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = Clock()
        await asyncio.sleep(0.007)  # the second pipeline starts when it likes
        second = Clock()
        await asyncio.sleep(0.001)
        waits = {"a": first, "b": second, "c": first}
        await asyncio.gather(
            *(
                ticking(clock, 50, lambda name=name: woken.append((loop.time(), name)))
                for name, clock in waits.items()
            )
        )

    timers = run_counting(main())
    assert len(timers) == 2 + 50
    expected = [(round(0.02 * n, 9), name) for n in range(1, 51) for name in "abc"]
    assert woken == expected, "in the order of coming, all at once"


def test_ticks_are_those_of_the_loop_and_said_in_pipeline_seconds() -> None:
    async def main() -> None:
        await asyncio.sleep(0.013)
        clock = Clock()
        assert clock.next_tick(0.02) == pytest.approx(0.007)
        await clock.sleep_until(clock.next_tick(0.02))
        assert asyncio.get_running_loop().time() == 0.02

    run_virtual(main())


def test_a_tick_that_was_missed_delays_no_other() -> None:
    async def main() -> None:
        clock = Clock()
        await clock.sleep_until(0.02)
        await asyncio.sleep(0.05)  # over two ticks
        await clock.sleep_until(0.04)
        assert clock.now() == pytest.approx(0.07), "at once"
        await clock.sleep_until(0.08)
        assert clock.now() == pytest.approx(0.08)

    run_virtual(main())


def test_who_is_cancelled_leaves_no_timer_and_disturbs_nobody() -> None:
    async def main() -> None:
        clock = Clock()
        alone = asyncio.create_task(clock.sleep_until(3600.0))
        one, other = (asyncio.create_task(clock.sleep_until(1.0)) for _ in range(2))
        await asyncio.sleep(0)
        alone.cancel()
        one.cancel()
        await asyncio.wait([alone, one, other])
        assert alone.cancelled()
        assert one.cancelled()
        assert clock.now() == 1.0

    hour, second = run_counting(main())
    assert hour.cancelled()
    assert not second.cancelled()


def test_who_is_cancelled_as_it_is_woken_disturbs_nobody() -> None:
    async def main() -> None:
        clock = Clock()
        one, other = (asyncio.create_task(clock.sleep_until(1.0)) for _ in range(2))
        asyncio.get_running_loop().call_at(1.0, one.cancel)
        await asyncio.wait([one, other])
        assert other.result() is None
        again = asyncio.create_task(clock.sleep_until(2.0))
        await again

    run_virtual(main())


def test_who_waits_for_ever_waits_until_it_is_cancelled() -> None:
    async def main() -> None:
        clock = Clock()
        waits = [asyncio.create_task(clock.sleep_until(math.inf)) for _ in range(2)]
        await clock.sleep_until(3600)
        assert not any(wait.done() for wait in waits)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)

    assert [timer.cancelled() for timer in run_counting(main())] == [False, True]


def test_a_clock_made_where_no_loop_runs_starts_with_the_first_wait() -> None:
    clock = Clock()
    assert clock.now() == 0.0

    async def main() -> None:
        await asyncio.sleep(1)
        assert clock.now() == 0.0
        await clock.sleep_until(2.0)
        assert clock.now() == 2.0
        assert asyncio.get_running_loop().time() == 3.0

    run_virtual(main())


async def test_a_stage_may_wait_in_a_thread_with_a_loop_of_its_own() -> None:
    clock = Clock()
    at = clock.now() + 0.05
    await asyncio.to_thread(asyncio.run, clock.sleep_until(at))
    assert clock.now() >= at - 1e-6


async def test_in_real_time_nobody_is_woken_early() -> None:
    clock = Clock()
    first = clock.next_tick(0.005)
    for n in range(20):
        await clock.sleep_until(first + n * 0.005)
        assert clock.now() >= first + n * 0.005 - 1e-6


def test_nothing_of_a_loop_stays() -> None:
    gone = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await Clock().sleep_until(0.01)
        kept = ticker_of(loop)
        assert ticker_of(loop) is kept
        gone.append(weakref.ref(loop))

    run_virtual(main())
    gc.collect()
    assert gone[0]() is None


def test_pipelines_in_one_process_share_their_wake_ups() -> None:
    text = "version: 1\nstages: [ramp: {frames: 100, live: true}, plus: 1, collect]\n"

    async def main() -> None:
        running = []
        for _ in range(10):
            running.append(asyncio.create_task(loads(text).run()))
            await asyncio.sleep(0.003)
        await asyncio.gather(*running)

    ticks = [round(timer.when(), 6) for timer in run_counting(main())]
    ticks = [tick for tick in ticks if 0.04 < tick < 1.96 and round(tick * 1e6) % 20_000 == 0]
    assert len(ticks) == len(set(ticks)) == 95
