"""Calls that stand only briefly: no storm, nothing billed in vain, and an end to patience."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from plugins.peers.realtime.call.life import (
    FarEnd,
    Life,
    ScriptedTransport,
    ask,
    busy,
    told,
    virtually,
)
from rtpipe import EnvironmentProblem, ExitCode, NotConnected


async def drop_every_call(far_end: FarEnd, *, after_s: float = 0.05, first: int = 1) -> None:
    """Be a server that takes every call and drops it, from the `first` on."""
    for n in range(first, 10_000):
        call = await far_end.called(n)
        await asyncio.sleep(after_s)
        call.lose(NotConnected("the server has closed the WebSocket (1011)"))


@virtually
async def test_a_server_that_drops_every_call_is_called_less_and_less_often(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    await life.begin()
    dropping = asyncio.create_task(drop_every_call(far_end))
    await asyncio.sleep(600)
    dropping.cancel()
    attempts = [one["attempt"] for one in life.of("realtime.reconnecting")]
    assert attempts == list(range(1, len(attempts) + 1))
    within = [sum(at < limit_s for at in far_end.attempts_at) for limit_s in (15, 600)]
    assert within[0] <= 14
    assert within[1] <= 150, "a pause of 7.5 s on average"
    await life.stop()


@virtually
async def test_patience_holds_over_calls_that_do_not_last(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"give_up_s": 30})
    await life.begin()
    dropping = asyncio.create_task(drop_every_call(far_end))
    with pytest.raises(EnvironmentProblem, match=r"no call that lasted for 30 s: .*1011") as raised:
        await life.end()
    dropping.cancel()
    assert raised.value.exit_code is ExitCode.TEMPORARY
    assert life.ctx.now() == pytest.approx(30.3, abs=0.5)


@virtually
async def test_a_call_that_has_lasted_ends_the_outage(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"give_up_s": 30})
    await life.begin()
    for n in range(1, 5):
        call = await far_end.called(n)
        await asyncio.sleep(16)
        call.lose(NotConnected("gone"))
    await far_end.called(5)
    assert [one["attempt"] for one in life.of("realtime.reconnecting")] == [1, 1, 1, 1]
    await life.stop()


@virtually
async def test_only_the_call_that_stands_is_told_and_asked_to_answer(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"max_s": 1.5})
    first = await life.begin()
    ask(first)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    assert second.types() == ["conversation.item.create", "response.create"]
    second.lose(NotConnected("gone"))
    for n in (3, 4):
        brief = await far_end.called(n)
        brief.lose(NotConnected("gone"))
    last = await far_end.called(5)
    assert (brief.sent, last.sent) == ([], [])
    await asyncio.sleep(1.2)
    assert last.types() == ["conversation.item.create", "response.create"]
    await asyncio.sleep(60)
    assert len(last.sent) == 2
    await life.stop()


@virtually
async def test_a_question_in_a_brief_call_is_answered_in_the_next(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"max_s": 1.5})
    await life.begin()
    dropping = asyncio.create_task(drop_every_call(far_end))
    await asyncio.sleep(60)
    dropping.cancel()
    far_end.call.lose(NotConnected("gone"))  # it may stand just now
    count = len(far_end.calls) + 1
    call = await far_end.called(count)
    ask(call)
    call.lose(NotConnected("gone"))
    last = await far_end.called(count + 1)
    await asyncio.sleep(1)
    assert last.types() == ["conversation.item.create", "response.create"]
    await life.stop()


@virtually
async def test_an_answer_is_not_asked_for_again_and_again(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    dropping = asyncio.create_task(drop_every_call(far_end, after_s=0.8))
    await asyncio.sleep(600)
    dropping.cancel()
    assert len(far_end.calls) > 50
    asked = [at for at, call in enumerate(far_end.calls) if "response.create" in call.types()]
    assert asked, "somebody waits"
    assert asked[-1] < 12, "and not for minutes"
    await life.stop()


async def third_call(life: Life, far_end: FarEnd) -> ScriptedTransport:
    """Return a call that is told nothing yet."""
    first = await life.begin()
    ask(first)
    await asyncio.sleep(20)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    await asyncio.sleep(0.5)
    second.lose(NotConnected("gone"))
    third = await far_end.called(3)
    assert third.sent == []
    return third


@virtually
async def test_who_speaks_at_once_is_understood_at_once(far_end: FarEnd) -> None:
    life = Life(far_end)
    third = await third_call(life, far_end)
    third.say("input_audio_buffer.speech_started", item_id="u2")
    assert told(third) == ["Where is the café?"]
    await life.stop()


@virtually
async def test_what_is_typed_at_once_comes_after_what_was_said(far_end: FarEnd) -> None:
    life = Life(far_end)
    third = await third_call(life, far_end)
    life.stage.text("And the toilets?")
    assert told(third) == ["Where is the café?", "And the toilets?"]
    await life.stop()


@virtually
async def test_the_next_call_waits_until_the_lost_one_is_hung_up(far_end: FarEnd) -> None:
    far_end.hang_up_s = 3.0
    life = Life(far_end)
    first = await life.begin()
    lost_at = life.ctx.now()
    first.lose(NotConnected("nothing has come from the server for 10.0 s"))
    await far_end.called(2)
    assert first.hung_up
    assert 3.0 <= far_end.attempts_at[1] - lost_at < 4.0
    await life.stop()


@virtually
async def test_a_server_that_does_not_take_our_hanging_up_is_called_again(far_end: FarEnd) -> None:
    far_end.hang_up_s = 1e6
    life = Life(far_end)
    first = await life.begin()
    lost_at = life.ctx.now()
    first.lose(NotConnected("nothing has come from the server for 10.0 s"))
    await far_end.called(2)
    assert first.closed
    assert far_end.attempts_at[1] - lost_at < 6.0
    await life.stop()


@virtually
async def test_every_end_of_a_run_hangs_up(far_end: FarEnd) -> None:
    far_end.refusals = [busy(503, retry_after_s=0.1)]
    life = Life(far_end, reconnect=False)
    first = await life.begin()
    first.lose(NotConnected("gone"))
    with suppress(NotConnected):
        await life.end()
    assert first.hung_up


@virtually
async def test_a_server_that_is_full_is_left_alone_before_a_session_ends_too(
    far_end: FarEnd,
) -> None:
    far_end.session_s = 3600.0
    life = Life(far_end)
    await life.begin()
    far_end.refusals = [busy(503, retry_after_s=20.0), busy(503)]
    await far_end.called(2)
    first, second, third = (
        b - a for a, b in zip(far_end.attempts_at, far_end.attempts_at[1:], strict=False)
    )
    assert first > 3500
    assert second == pytest.approx(20, abs=1)
    assert third == pytest.approx(4, abs=1)
    await life.stop()


@virtually
async def test_sessions_of_two_seconds_are_no_reason_to_call_all_the_time(far_end: FarEnd) -> None:
    far_end.session_s = 2.0
    life = Life(far_end)
    await life.begin()
    await asyncio.sleep(60)
    assert len(far_end.attempts_at) == 1, "the end of a session is for the server to say"
    await life.stop()
