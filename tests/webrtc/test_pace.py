"""Slots of 20 ms: no drift, a small delay is caught up, a long one skipped."""

from __future__ import annotations

import pytest

from helpers.fake_clock import FakeClock
from rtpipe_webrtc.pace import Slots


async def test_slots_come_every_20_ms_without_drift() -> None:
    clock = FakeClock()
    slots = Slots(clock)
    clock.overslept = 0.004  # every timer fires late; the next slot does not inherit it
    times = []
    for _ in range(500):
        assert await slots.next() == len(times)
        times.append(clock.now())
    assert times[-1] - times[0] == pytest.approx(499 * 0.02, abs=0.005)


async def test_a_small_delay_is_caught_up_and_a_long_one_skipped() -> None:
    clock = FakeClock()
    slots = Slots(clock)
    assert [await slots.next() for _ in range(3)] == [0, 1, 2]
    clock.time += 0.15
    assert [await slots.next() for _ in range(3)] == [3, 4, 5]
    clock.time += 60.0
    burst = clock.now()
    late = await slots.next()
    assert late > 3000
    assert [await slots.next() for _ in range(3)] == [late + 1, late + 2, late + 3]
    assert clock.now() - burst == pytest.approx(0.06, abs=0.021)
