"""When the budget is spent."""

from __future__ import annotations

import asyncio

import pytest

from plugins.peers.realtime.call.life import FarEnd, Life, answer, ask, busy, virtually
from rtpipe import ExitCode, NotConnected
from rtpipe_plugins.peers.realtime.errors import BudgetSpent


@virtually
async def test_when_the_budget_is_spent_the_answer_is_finished_and_then_it_is_over(
    far_end: FarEnd,
) -> None:
    life = Life(far_end, budget={"output_tokens_per_hour": 10})
    first = await life.begin()
    ask(first)
    answer(first)
    usage = {"output_tokens": 10}
    first.say("response.done", response={"id": "r1", "status": "completed", "usage": usage})
    await asyncio.sleep(5)
    assert life.talking is not None
    assert not life.talking.done()
    first.say("output_audio_buffer.stopped", response_id="r1")
    with pytest.raises(BudgetSpent, match="10 output tokens") as raised:
        await life.end()
    assert raised.value.exit_code is ExitCode.NO_PERMISSION
    assert first.hung_up
    assert life.life() == [
        "realtime.calling",
        "realtime.connected",
        "realtime.budget_spent",
        "realtime.disconnected",
    ]
    assert "the budget is spent" in life.of("realtime.disconnected")[0]["reason"]


@virtually
async def test_minutes_go_on_over_several_calls(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end, budget={"minutes": 2})
    first = await life.begin()
    await asyncio.sleep(5)
    far_end.refusals = [busy(503, retry_after_s=60.0)]
    first.lose(NotConnected("gone"))  # for a minute, which costs nothing
    with pytest.raises(BudgetSpent, match="2 minutes"):
        await life.end()
    assert life.ctx.now() == pytest.approx(181.0, abs=1.0)
    assert len(far_end.calls) > 5
