"""The date and what is left to chance: the machine's, or virtual time's, the same in every run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from rtpipe import local_time, randomness
from rtpipe.testing import run_virtual


async def _drawn() -> tuple[datetime, list[float]]:
    await asyncio.sleep(90)
    return local_time(), [randomness().random() for _ in range(3)]


def test_in_virtual_time_both_are_the_same_in_every_run() -> None:
    first, second = run_virtual(_drawn()), run_virtual(_drawn())
    assert first == second
    assert first[0] == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_else_both_are_the_machines() -> None:
    async def looked() -> tuple[datetime, float]:
        return local_time(), randomness().random()

    now, drawn = asyncio.run(looked())
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert now.utcoffset() == datetime.now(UTC).astimezone().utcoffset()
    assert drawn != asyncio.run(looked())[1]
    assert abs(local_time() - now) < timedelta(minutes=1), "where no loop runs"
