"""A call over loopback with an aiortc answerer, and a clock for what needs no call."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.fake_clock import FakeClock
from plugins.peers.realtime.visiting import Visit


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def visit(answerer: Any, ctx: Any, patient_link: Any) -> Any:
    def make(**options: Any) -> Visit:
        return Visit(answerer, ctx, patient_link, **options)

    return make
