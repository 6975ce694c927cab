"""The first call: what may pass is tried again, and for how long."""

from __future__ import annotations

import pytest

from plugins.peers.realtime.call.life import (
    FarEnd,
    Life,
    ScriptedTransport,
    ask,
    busy,
    virtually,
)
from rtpipe import EnvironmentProblem
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.errors import CallRefused, CallUnavailable


@virtually
async def test_what_may_pass_is_tried_again(far_end: FarEnd) -> None:
    far_end.refusals = [busy(503), busy(429), EnvironmentProblem("connection refused")]
    life = Life(far_end)
    await life.begin()
    await life.stop()
    assert len(far_end.attempts_at) == 4
    called = ["realtime.calling"] * 4
    assert life.life() == [*called, "realtime.connected", "realtime.disconnected"]


@virtually
async def test_the_server_says_when_to_try_again(far_end: FarEnd) -> None:
    far_end.refusals = [busy(429, retry_after_s=4.0)]
    life = Life(far_end)
    await life.begin()
    await life.stop()
    first, second = far_end.attempts_at
    assert second - first == pytest.approx(4.2, abs=0.01)


@virtually
async def test_trying_again_ends_with_the_time_for_the_call(far_end: FarEnd) -> None:
    far_end.refusals = [busy(500)] * 1000
    life = Life(far_end, connect_timeout_s=5)
    with pytest.raises(CallUnavailable, match="500"):
        await life.stage.open()
    assert len(far_end.attempts_at) >= 4
    assert life.ctx.now() < 5.1
    await life.stage.close()


@virtually
async def test_a_pause_that_takes_too_long_is_not_begun(far_end: FarEnd) -> None:
    far_end.refusals = [busy(429, retry_after_s=60.0)]
    life = Life(far_end)
    with pytest.raises(CallUnavailable):
        await life.stage.open()
    assert life.ctx.now() < 1
    await life.stage.close()


@pytest.mark.parametrize(
    "problem",
    [CallRefused("no", status=400), busy(429, code="insufficient_quota")],
    ids=["400", "no money"],
)
def test_what_will_not_pass_is_not_tried_again(far_end: FarEnd, problem: Exception) -> None:
    async def open_once() -> None:
        far_end.refusals = [problem]
        life = Life(far_end)
        with pytest.raises(type(problem)):
            await life.stage.open()
        await life.stage.close()

    run_virtual(open_once())
    assert len(far_end.attempts_at) == 1


@virtually
async def test_what_a_server_does_before_its_call_serves_is_answered(far_end: FarEnd) -> None:
    def begin(call: ScriptedTransport) -> None:
        called = {"id": "i1", "type": "function_call", "name": "made_up", "call_id": "c1"}
        ask(call)
        call.say("response.created", response={"id": "r0"})
        output = [{**called, "status": "completed", "arguments": "{}"}]
        call.say("response.done", response={"id": "r0", "status": "completed", "output": output})

    far_end.at_once = begin
    life = Life(far_end)
    call = await life.begin()
    (answered,) = (e["item"] for e in call.sent if e["type"] == "conversation.item.create")
    assert (answered["type"], answered["call_id"]) == ("function_call_output", "c1")
    assert "response.create" in call.types()
    types = [event.type for event in life.events]
    assert types.index("realtime.connected") < types.index("turn.user_started")
    await life.stop()
