"""A conversation goes on in another call: what that is told, and what it answers."""

from __future__ import annotations

import asyncio

from plugins.peers.realtime.call.life import (
    FarEnd,
    Life,
    answer,
    ask,
    busy,
    finish,
    told,
    virtually,
)
from rtpipe import NotConnected, audio


@virtually
async def test_the_conversation_goes_on_in_another_call(far_end: FarEnd) -> None:
    life = Life(far_end, greeting="Welcome!")
    first = await life.begin()
    ask(first)
    answer(first)
    finish(first)
    first.lose(NotConnected("the server has closed the event channel"))
    second = await far_end.called(2)
    assert told(second) == ["Where is the café?", "On the left."]
    assert "response.create" in first.types()
    assert "response.create" not in second.types()  # it is not greeted again, and owes nothing
    assert first.hung_up
    assert first.closed
    await life.stop()
    assert second.hung_up
    assert life.life() == [
        "realtime.calling",
        "realtime.connected",
        "realtime.disconnected",
        "realtime.reconnecting",
        "realtime.calling",
        "realtime.connected",
        "realtime.disconnected",
    ]
    (lost, _), (again,) = life.of("realtime.disconnected"), life.of("realtime.reconnecting")
    assert lost["reason"] == again["reason"] == "the server has closed the event channel"
    assert again["attempt"] == 1


@virtually
async def test_a_call_that_is_lost_before_the_greeting_is_followed_by_another(
    far_end: FarEnd,
) -> None:
    life = Life(far_end, greeting="Welcome!")
    await life.stage.open()
    far_end.call.closed = True  # while other stages were being opened
    far_end.call.lose(NotConnected("gone"))
    await life.begin_talking()
    await far_end.called(2)
    await life.stop()


@virtually
async def test_the_server_repeats_what_it_was_told_and_nobody_hears_it_twice(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    before = len(life.events)
    for create in [e for e in second.sent if e["type"] == "conversation.item.create"]:
        for type in ("added", "done"):
            second.say(f"conversation.item.{type}", previous_item_id=None, item=create["item"])
    assert life.events[before:] == []
    ask(second, "And the toilets?", id="u2")
    await life.stop()
    assert [said["text"] for said in life.of("transcript.user")] == [
        "Where is the café?",
        "And the toilets?",
    ]


@virtually
async def test_a_question_that_was_lost_with_the_call_is_answered(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    await life.stop()
    assert second.types() == ["conversation.item.create", "response.create"]


@virtually
async def test_what_was_typed_and_perhaps_never_arrived_is_put_to_the_next_call(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    first = await life.begin()
    life.stage.text("Is anybody there?")
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    (created,) = [e["item"] for e in first.sent if e["type"] == "conversation.item.create"]
    assert [e["item"] for e in second.sent if "item" in e] == [created]
    assert second.types() == ["conversation.item.create", "response.create"]
    second.say("conversation.item.added", previous_item_id=None, item=created)
    second.say("conversation.item.done", previous_item_id=None, item=created)
    assert [said["text"] for said in life.of("transcript.user")] == ["Is anybody there?"]
    second.lose(NotConnected("gone again"))
    third = await far_end.called(3)
    await asyncio.sleep(1.2)
    await life.stop()
    assert [e["item"] for e in third.sent if "item" in e] == [created], "once, from the history"


@virtually
async def test_nobody_is_answered_a_minute_later(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    far_end.refusals = [busy(503, retry_after_s=60.0)]
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    await life.stop()
    assert second.types() == ["conversation.item.create"]
    assert life.of("realtime.connected")[1]["outage_s"] > 60


@virtually
async def test_an_expired_session_is_followed_by_another(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    answer(first, "It is on the left, behind the stairs, and it is open until six.")
    await asyncio.sleep(1.0)
    first.say("error", error={"code": "session_expired", "message": "60 minutes."})
    second = await far_end.called(2)
    assert told(second) == ["Where is the café?", "It is on the …"]
    await life.stop()
    assert life.of("realtime.disconnected")[0]["reason"] == "the session has expired: 60 minutes."
    assert life.of("transcript.assistant")[0]["interrupted"]


@virtually
async def test_what_was_changed_in_the_session_is_asked_for_again(far_end: FarEnd) -> None:
    life = Life(far_end, api_key="ek_0123456789", instructions="Be brief.")
    first = await life.begin()
    life.stage.update(instructions="Be long.")
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    (update,) = [event for event in second.sent if event["type"] == "session.update"]
    assert update["session"]["instructions"] == "Be long."
    second.say("session.updated", session={"type": "realtime"})
    await asyncio.sleep(0.1)
    await life.stop()


@virtually
async def test_the_models_audio_is_one_stream_with_a_hole(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    for _ in range(5):
        first.incoming.speak()
    await asyncio.sleep(0.2)
    far_end.refusals = [busy(503, retry_after_s=2.0)]
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    for _ in range(5):
        second.incoming.speak()
    await asyncio.sleep(0.2)
    await life.stop()
    previous = None
    for frame in life.frames:
        audio.check_frame(frame, previous)
        previous = frame
    assert len(life.frames) == 10
    assert 2.6 < life.frames[5].pts / 48_000 < 3.3  # the first pause is up to 0.5 s
