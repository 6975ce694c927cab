"""While no call stands: what is told, dropped and waited for, and what ends it."""

from __future__ import annotations

import asyncio

import pytest

from plugins.peers.realtime.call.life import FarEnd, Life, busy, virtually
from rtpipe import EnvironmentProblem, ExitCode, NotConnected, audio
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.errors import CallRefused


@virtually
async def test_every_attempt_is_told_with_its_reason(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy(503), EnvironmentProblem("cannot reach it")]
    first.lose(NotConnected("gone"))
    await far_end.called(2)
    await life.stop()
    told = [(one["attempt"], one["reason"]) for one in life.of("realtime.reconnecting")]
    assert told == [(1, "gone"), (2, "HTTP 503"), (3, "cannot reach it")]
    assert [one["attempt"] for one in life.of("realtime.calling")] == [1, 1, 2, 3]


@virtually
async def test_what_a_live_visitor_says_meanwhile_is_dropped_and_counted(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy(503, retry_after_s=1.0)]
    first.lose(NotConnected("gone"))
    await asyncio.sleep(0.5)
    for n in range(10):
        life.inlet.offer(audio.silence(960, pts=n * 960))
    second = await far_end.called(2)
    await life.stop()
    assert life.of("realtime.connected")[1]["unsent_ms"] == 200
    assert (first.outgoing.taken, second.outgoing.taken) == (0, 0)


@virtually
async def test_what_can_wait_waits_for_the_next_call(far_end: FarEnd) -> None:
    life = Life(far_end, live=False)
    first = await life.begin()
    first.lose(NotConnected("gone"))
    await asyncio.sleep(0)
    for n in range(10):
        life.inlet.offer(audio.silence(960, pts=n * 960))
    life.inlet.close()
    second = await far_end.called(2)
    await life.end()
    assert second.outgoing.taken == 10


@virtually
async def test_the_end_of_the_input_ends_an_outage(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    await asyncio.sleep(20)
    life.inlet.close()
    await life.end()
    assert life.ctx.now() < 21


@virtually
async def test_a_stop_ends_an_outage(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    await asyncio.sleep(20)
    with pytest.raises(NotConnected):
        life.stage.say("Hello?")
    await life.stop()
    assert life.ctx.now() < 21


@virtually
async def test_an_outage_may_last_for_ever(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 300
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    assert life.ctx.now() > 1000
    life.stage.say("Here I am again.")
    assert second.types() == ["response.create"]
    await life.stop()


@virtually
async def test_patience_may_have_an_end(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"give_up_s": 30})
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    with pytest.raises(EnvironmentProblem, match="no call for 30 s: HTTP 503") as raised:
        await life.end()
    assert raised.value.exit_code is ExitCode.TEMPORARY
    assert life.ctx.now() == pytest.approx(30.3, abs=0.2)


@virtually
async def test_who_does_not_want_another_call_gets_the_reason(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect=False)
    first = await life.begin()
    first.lose(NotConnected("gone"))
    with pytest.raises(NotConnected, match="gone"):
        await life.end()
    assert len(far_end.attempts_at) == 1


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("insufficient_quota", ExitCode.TEMPORARY), ("invalid_api_key", ExitCode.NO_PERMISSION)],
)
def test_an_end_for_good_is_one(far_end: FarEnd, code: str, exit_code: ExitCode) -> None:
    async def conversation() -> None:
        life = Life(far_end)
        first = await life.begin()
        first.say("error", error={"code": code, "message": "No more."})
        with pytest.raises(CallRefused, match=r"No more\.") as raised:
            await life.end()
        assert raised.value.exit_code is exit_code

    run_virtual(conversation())
    assert len(far_end.attempts_at) == 1


@virtually
async def test_a_server_that_refuses_the_next_call_ends_it(far_end: FarEnd) -> None:
    life = Life(far_end, api_key="ek_0123456789")
    far_end_refuses = CallRefused("expired", status=401, exit_code=ExitCode.NO_PERMISSION)
    first = await life.begin()
    far_end.refusals = [far_end_refuses]
    first.lose(NotConnected("gone"))
    with pytest.raises(CallRefused, match="expired"):
        await life.end()
