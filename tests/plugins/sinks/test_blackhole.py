"""blackhole: it takes everything, counts it, and can take its time."""

import asyncio
import logging

import pytest

from rtpipe.testing import check_stage, run_stage, run_virtual, tone
from rtpipe_plugins.sinks.blackhole import Blackhole


async def elapsed_s(options: dict[str, bool]) -> float:
    await run_stage(Blackhole, options, tone(seconds=5))
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("options", [{}, {"realtime": True}])
def test_it_keeps_the_contract(options: dict[str, bool]) -> None:
    check_stage(Blackhole, options)


def test_it_says_how_much_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run_virtual(elapsed_s({})) == 0.0
    assert "swallowed 250 frames, 5.00 s" in caplog.text


def test_in_real_time_it_paces_what_feeds_it() -> None:
    assert run_virtual(elapsed_s({"realtime": True})) == pytest.approx(5.0, abs=0.03)
