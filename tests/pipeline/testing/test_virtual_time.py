"""Virtual time: a loop whose clock moves when everything waits."""

import asyncio
import threading
import time

import pytest

from rtpipe.testing import VirtualLoop, run_virtual


def test_hours_pass_at_once_and_exactly() -> None:
    async def five_hours() -> float:
        for _ in range(5 * 60):
            await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    begun = time.monotonic()
    assert run_virtual(five_hours()) == 18_000
    assert time.monotonic() - begun < 30


def test_many_short_sleeps_add_up_without_drift() -> None:
    async def ticks() -> float:
        for _ in range(3001):
            await asyncio.sleep(0.02)
        return asyncio.get_running_loop().time()

    assert run_virtual(ticks()) == 60.02


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def order() -> list[float]:
        fired: list[float] = []

        async def after(seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append(seconds)

        await asyncio.gather(*(after(s) for s in (3.0, 0.001, 86_400.0 * 3, 2.0)))
        return fired

    assert run_virtual(order()) == [0.001, 2.0, 3.0, 259_200.0]


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def main() -> tuple[str, float]:
        worked = await asyncio.wait_for(asyncio.to_thread(lambda: time.sleep(0.05) or "done"), 0.01)
        return worked, asyncio.get_running_loop().time()

    assert run_virtual(main()) == ("done", 0.0)


def test_a_deadlock_is_said_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtpipe.testing.virtual_time._PATIENCE_S", 0.01)

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtual(forever())


def test_a_call_from_another_thread_wakes_the_loop() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        told = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(told.set_result, 5))
        thread.start()
        result: int = await told
        thread.join()
        return result

    assert run_virtual(main()) == 5
