"""The next call takes over before a session ends, and interrupts nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from plugins.peers.realtime.call.life import (
    FarEnd,
    Life,
    answer,
    ask,
    ask_and_answer,
    busy,
    finish,
    told,
    virtually,
)
from rtpipe import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable


@virtually
async def test_the_next_call_takes_over_before_the_session_ends(far_end: FarEnd) -> None:
    far_end.session_s = 3600.0
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    answer(first)
    finish(first)
    second = await far_end.called(2)
    assert life.ctx.now() == pytest.approx(3540.4, abs=0.5)
    await asyncio.sleep(0.3)
    assert told(second) == ["Where is the café?", "On the left."]
    assert first.hung_up
    assert first.closed
    assert life.life() == ["realtime.calling", "realtime.connected", "realtime.rolled_over"]
    (rolled,) = life.of("realtime.rolled_over")
    (connected,) = life.of("realtime.connected")
    session_id = rolled.pop("session_id")
    assert session_id not in {"", connected["session_id"]}  # nobody was speaking
    assert rolled == {"call_id": "rtc_2", "items": 2, "forced": False}
    await life.stop()
    assert second.closed


@virtually
async def test_nobody_is_interrupted_by_it(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first))
    await asyncio.sleep(2.0)
    assert not first.closed
    finish(first)
    await asyncio.sleep(0.3)
    assert first.closed
    assert told(second) == ["Where is the café?", "On the left."]
    await life.stop()
    assert "realtime.disconnected" not in life.life()[:-1]


async def _dialled_while(life: Life, far_end: FarEnd, happens: Callable[[], Any]) -> Any:
    """Let something begin just before the next call is made; returns that."""
    await asyncio.sleep(11.5 - life.ctx.now())
    happens()
    return await far_end.called(2)


@virtually
async def test_a_visitor_who_has_just_begun_is_not_cut_off(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    await far_end.called(2)
    first.outgoing.audible_at = life.ctx.now()  # and the server has not noticed yet
    await asyncio.sleep(0.4)
    assert not first.closed
    await asyncio.sleep(0.5)
    assert first.closed
    await life.stop()


@virtually
async def test_at_last_it_takes_over_whoever_speaks_and_what_is_owed_is_said(
    far_end: FarEnd,
) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask(first))
    await asyncio.sleep(17.5 - life.ctx.now())
    assert first.closed
    assert second.types() == ["conversation.item.create", "response.create"]
    (rolled,) = life.of("realtime.rolled_over")
    assert rolled["forced"]
    assert life.life() == [
        "realtime.calling",
        "realtime.connected",
        "realtime.disconnected",
        "realtime.connected",
        "realtime.rolled_over",
    ]
    await life.stop()


@virtually
async def test_a_call_that_cannot_be_made_beforehand_is_made_again(far_end: FarEnd) -> None:
    far_end.session_s = 60.0
    life = Life(far_end)
    await life.begin()
    far_end.refusals = [busy(), busy()]
    await far_end.called(2)
    await asyncio.sleep(0.5)
    await life.stop()
    assert len(life.of("realtime.rolled_over")) == 1


@virtually
async def test_where_the_next_call_stands_already_a_loss_costs_nothing(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first, "Left. " * 9))
    first.lose(NotConnected("expired early"))
    await asyncio.sleep(0.3)
    question, heard = told(second)
    assert heard.endswith("Left. …")
    assert question == "Where is the café?"
    assert len(far_end.attempts_at) == 2
    await life.stop()
    assert life.of("realtime.reconnecting") == []


@virtually
async def test_a_line_that_was_not_needed_is_hung_up(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first))
    await life.stop()
    assert second.hung_up
    assert second.closed


@virtually
async def test_who_wants_no_roll_over_gets_none(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end, roll_over=False)
    await life.begin()
    await asyncio.sleep(100)
    await life.stop()
    assert len(far_end.attempts_at) == 1


@virtually
async def test_sessions_of_twenty_seconds_for_ten_minutes(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    await life.begin()
    tasks = len(asyncio.all_tasks())
    await asyncio.sleep(600)
    assert len(asyncio.all_tasks()) <= tasks + 1  # the one that dials
    await life.stop()
    rolled = life.of("realtime.rolled_over")
    assert len(rolled) > 40
    assert not any(one["forced"] for one in rolled)
    assert all(call.closed for call in far_end.calls)
