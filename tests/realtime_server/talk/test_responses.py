"""Responses that a client asks for: in text, in the conversation and beside it, one at a time."""

from __future__ import annotations

import numpy as np

from realtime_server.bench import ANSWER, Bench, asked, user_text
from rtpipe_realtime_server.talk.outputs import Reply

TEXT_DONE = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def test_a_text_turn() -> None:
    bench = Bench()
    bench.send("conversation.item.create", item=user_text("Say hello."))
    bench.send("response.create")
    assert bench.kinds(1) == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert asked(bench) == ["Say hello."]
    bench.think()
    bench.tick(120)
    assert bench.kinds()[-1] == "output_audio_buffer.stopped"
    typed, answer = bench.all("conversation.item.added")
    assert answer["previous_item_id"] == typed["item"]["id"]
    assert bench.last("conversation.item.done")["previous_item_id"] is None, "as recorded"
    bench.send("response.create")
    bench.think()
    bench.tick(120)
    for kind in ("conversation.item.added", "conversation.item.done"):
        assert bench.last(kind)["previous_item_id"] == answer["item"]["id"]


def test_a_reply_longer_than_max_output_tokens_is_incomplete() -> None:
    bench = Bench(max_output_tokens=30)
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(150)
    response = bench.one("response.done")["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert 30 <= response["usage"]["output_tokens"] < 40
    assert bench.all("output_audio_buffer.stopped"), "what was generated is played"


def test_a_reply_in_text_makes_no_sound() -> None:
    bench = Bench(output_modalities=["text"])
    bench.send("conversation.item.create", item=user_text("Say hello."))
    bench.send("response.create")
    mark = len(bench.events)
    bench.think()
    bench.tick(3)
    assert bench.kinds(mark) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        *TEXT_DONE[2:],
    ]
    assert bench.one("response.output_text.done")["text"] == ANSWER
    assert not np.concatenate(bench.frames).any()


def test_a_response_outside_the_conversation_runs_beside_the_one_in_it() -> None:
    bench = Bench()
    bench.send("response.create", event_id="a")
    bench.send(
        "response.create",
        response={
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"topic": "classify"},
            "instructions": "One word.",
            "input": [user_text("Say hello.")],
        },
    )
    beside = bench.last("response.created")["response"]
    assert beside["conversation_id"] is None
    assert beside["metadata"] == {"topic": "classify"}
    assert beside["output_modalities"] == ["text"]
    (reply,) = [
        c for c in bench.commands if isinstance(c, Reply) and c.question.heard == "Say hello."
    ]
    assert reply.question.instructions == "One word."
    bench.commands = [reply]
    bench.think(answer="greeting")
    bench.tick(3)
    assert not [kind for kind in bench.kinds() if kind.startswith("conversation.item")]
    assert bench.kinds(3) == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        *TEXT_DONE,
    ]
    assert bench.one("response.done")["response"]["id"] == beside["id"]


def test_a_response_outside_the_conversation_may_refer_to_its_items() -> None:
    bench = Bench()
    bench.send("conversation.item.create", item=user_text("first", id="item_a"))
    bench.send("conversation.item.create", item=user_text("second"))
    reference = {"type": "item_reference", "id": "item_a"}
    bench.send("response.create", response={"conversation": "none", "input": [reference]})
    assert asked(bench) == ["first"]
    bench.send("response.create", response={"conversation": "none", "input": []})
    assert asked(bench) == ["first", ""]


def test_a_second_response_is_refused_with_the_clients_event_id() -> None:
    bench = Bench()
    bench.send("response.create")
    response_id = bench.one("response.created")["response"]["id"]
    bench.send("response.create", event_id="mine")
    error = bench.error()
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "mine"
    assert response_id in error["message"]
    bench.think()
    bench.tick(150)
    assert len(bench.all("response.done")) == 1


def test_a_session_is_idle_until_something_is_answered_and_after_it_was_played() -> None:
    bench = Bench()
    assert bench.protocol.idle
    bench.send("response.create")
    assert not bench.protocol.idle
    bench.think(seconds=0.2)
    while bench.frames == [] or bench.all("output_audio_buffer.stopped") == []:
        assert not bench.protocol.idle
        bench.tick()
    assert bench.protocol.idle
