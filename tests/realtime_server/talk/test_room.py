"""What a conversation may hold: items and bytes, and that what is deleted makes room."""

from __future__ import annotations

import base64
import weakref
from typing import Any

import numpy as np
import pytest

from realtime_server.bench import Bench, user_text
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.talk import responder
from rtpipe_realtime_server.talk.outputs import Transcribe

FULL = "conversation_limit_reached"


def create(bench: Bench, item: dict[str, Any]) -> bool:
    """Whether an item was taken."""
    count = len(bench.events)
    bench.send("conversation.item.create", item=item)
    if bench.events[count]["type"] == "conversation.item.added":
        return True
    assert bench.error()["code"] == FULL
    return False


def test_one_item_too_many_is_refused_until_one_is_deleted() -> None:
    bench = Bench(limits=Limits(session_items=2))
    assert create(bench, user_text("one", id="item_1"))
    assert create(bench, user_text("two"))
    assert not create(bench, user_text("three"))
    bench.send("conversation.item.delete", item_id="item_1")
    assert create(bench, user_text("three"))


@pytest.mark.parametrize(
    "content",
    [
        {"type": "input_text", "text": "x" * 400_000},
        {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 800_000},
        {"type": "input_audio", "audio": base64.b64encode(bytes(1_200_000)).decode()},
    ],
    ids=["text", "picture", "audio"],
)
def test_what_is_too_large_is_refused(content: dict[str, Any]) -> None:
    bench = Bench(limits=Limits(session_mb=1))
    item = {"type": "message", "role": "user", "content": [content]}
    assert create(bench, item)
    assert not create(bench, item)
    assert create(bench, user_text("short"))


def test_a_full_conversation_takes_no_turn_and_begins_no_answer() -> None:
    bench = Bench(limits=Limits(session_items=1))
    assert create(bench, user_text("one"))
    count = len(bench.events)
    bench.say()
    assert bench.kinds(count) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "error",
    ]
    assert bench.error()["code"] == FULL
    bench.send("response.create")
    assert bench.error()["code"] == FULL
    bench.send("response.create", response={"conversation": "none"})
    assert bench.events[-1]["type"] == "response.created"


def test_a_commit_that_does_not_fit_is_refused() -> None:
    bench = Bench(limits=Limits(session_items=1), audio={"input": {"turn_detection": None}})
    assert create(bench, user_text("one"))
    bench.hear(10, speech=True)
    bench.send("input_audio_buffer.commit", event_id="event_mine")
    assert (bench.error()["code"], bench.error()["event_id"]) == (FULL, "event_mine")


def test_answers_outside_the_conversation_are_bounded() -> None:
    bench = Bench()
    asked = {"conversation": "none", "input": [user_text("Hello")]}
    for _ in range(responder._MOST_ACTIVE + 1):
        bench.send("response.create", response=asked)
    assert len(bench.all("response.created")) == responder._MOST_ACTIVE
    assert bench.error()["code"] == "rate_limit_exceeded"


def test_what_has_ended_holds_nothing() -> None:
    bench = Bench(media=False, audio={"input": {"turn_detection": None}})
    bench.hear(20, speech=True)
    bench.send("input_audio_buffer.commit")
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    kept = weakref.ref(transcribe.pcm)
    del transcribe
    bench.commands.clear()
    bench.hear(20, speech=True)
    bench.protocol.forget()
    assert kept() is None, "without the garbage collector"
    assert not bench.protocol._listener._buffer.milliseconds
    np.testing.assert_array_equal(bench.protocol.tick(), 0)
