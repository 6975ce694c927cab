"""What a client may send: text turns, push to talk, stopping, items; and what it is refused."""

from __future__ import annotations

import base64
import weakref
from typing import Any

import numpy as np
import pytest

from realtime_server.bench import ANSWER, Bench
from rtpipe_realtime_server.talk.listener import InputBuffer
from rtpipe_realtime_server.talk.outputs import HangUp, Reply, Transcribe

TEXT_DONE = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def user_text(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


def asked(bench: Bench) -> list[str]:
    return [command.question.heard for command in bench.commands if isinstance(command, Reply)]


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


def test_an_update_shows_the_whole_session() -> None:
    bench = Bench()
    before = bench.one("session.created")["session"]
    bench.update(audio={"input": {"turn_detection": {"silence_duration_ms": 700}}})
    after = bench.one("session.updated")["session"]
    before["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 700
    assert after == before


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


def test_cancel_ends_the_generation_and_leaves_what_was_said_to_be_played() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("response.cancel")
    response = bench.one("response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert response["output"][0]["status"] == "incomplete"
    generated_ms = 10 * 160
    bench.tick(generated_ms // 20 - 10)
    assert bench.frames[-1].any()
    assert not bench.all("output_audio_buffer.stopped")
    bench.tick()
    assert not bench.frames[-1].any()
    assert bench.events[-1]["type"] == "output_audio_buffer.stopped"


def test_cancel_and_clear_silence_the_call() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("response.cancel")
    bench.send("output_audio_buffer.clear")
    cleared = bench.one("output_audio_buffer.cleared")
    assert cleared["response_id"] == bench.one("response.done")["response"]["id"]
    assert bench.one("conversation.item.truncated")["audio_end_ms"] == 200
    bench.tick(20)
    assert not np.concatenate(bench.frames[-20:]).any()
    assert not bench.all("output_audio_buffer.stopped")


def test_clear_alone_lets_the_words_come_to_their_end_unheard() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("output_audio_buffer.clear")
    bench.tick(200)
    assert not np.concatenate(bench.frames[-200:]).any()
    assert bench.one("response.done")["response"]["status"] == "completed"
    item_id = bench.one("response.output_item.done")["item"]["id"]
    bench.send("conversation.item.retrieve", item_id=item_id)
    assert bench.one("conversation.item.retrieved")["item"]["content"][0]["transcript"] == ""
    bench.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=201)
    assert bench.error()["message"] == "Audio content of 200ms is already shorter than 201ms"


def test_clear_of_nothing_says_nothing() -> None:
    bench = Bench()
    bench.send("output_audio_buffer.clear")
    assert bench.kinds() == ["session.created"]


def test_push_to_talk() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    bench.hear(40, speech=True)
    assert bench.kinds() == ["session.created"]
    bench.send("input_audio_buffer.clear")
    bench.hear(10, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.kinds(1) == [
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert len(transcribe.pcm) == 10 * 512


def test_a_commit_of_less_than_100_ms_is_refused() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    bench.send("input_audio_buffer.commit")
    assert bench.error()["code"] == "input_audio_buffer_commit_empty"
    assert bench.error()["message"].endswith("buffer only has 0.00ms of audio.")
    bench.hear(3, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.error()["message"].endswith("buffer only has 96.00ms of audio.")
    bench.hear(1, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.all("input_audio_buffer.committed")


def test_a_commit_in_the_middle_of_speech_takes_the_announced_item() -> None:
    bench = Bench()
    bench.hear(20, speech=True)
    bench.send("input_audio_buffer.commit")
    started = bench.one("input_audio_buffer.speech_started")
    assert bench.one("input_audio_buffer.committed")["item_id"] == started["item_id"]
    bench.hear(20, speech=False)
    assert not bench.all("input_audio_buffer.speech_stopped")


def test_appended_audio_is_heard() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    second = base64.b64encode(np.full(24000, 500, "<i2").tobytes()).decode()
    bench.send("input_audio_buffer.append", audio=second)
    bench.send("input_audio_buffer.commit")
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert abs(len(transcribe.pcm) - 16000) < 50
    assert abs(int(np.median(transcribe.pcm)) - 500) <= 1


@pytest.mark.parametrize("count", [1, 2])
def test_an_item_of_audio_is_transcribed_when_it_is_answered(count: int) -> None:
    bench = Bench()
    sound = base64.b64encode(np.full(24000 // count, 500, "<i2").tobytes()).decode()
    parts = count * [{"type": "input_audio", "audio": sound}]
    bench.send(
        "conversation.item.create", item={"type": "message", "role": "user", "content": parts}
    )
    assert bench.commands == []
    heard = {"type": "input_audio", "transcript": None}
    assert bench.events[-1]["item"]["content"] == count * [heard]
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert abs(len(transcribe.pcm) - 16000) < 5


@pytest.mark.parametrize(
    ("previous", "order"),
    [(None, ["a", "b", "c"]), ("root", ["c", "a", "b"]), ("a", ["a", "c", "b"])],
)
def test_items_go_where_the_client_says(previous: str | None, order: list[str]) -> None:
    bench = Bench()
    for name in ("a", "b"):
        bench.send("conversation.item.create", item=user_text(name, id=name))
    bench.send("conversation.item.create", item=user_text("c", id="c"), previous_item_id=previous)
    bench.send("response.create")
    assert asked(bench) == [" ".join(order)]
    predecessor = {None: "b", "root": None, "a": "a"}[previous]
    assert bench.last("conversation.item.added")["previous_item_id"] == predecessor


def test_deleted_items_are_not_answered() -> None:
    bench = Bench()
    bench.send("conversation.item.create", item=user_text("gone", id="x"))
    bench.send("conversation.item.delete", item_id="x")
    assert bench.one("conversation.item.deleted")["item_id"] == "x"
    bench.send("conversation.item.retrieve", item_id="x")
    assert bench.error()["code"] == "item_retrieve_invalid_item_id"
    bench.send("response.create")
    assert asked(bench) == [""]


def test_tool_outputs_are_kept_without_a_status() -> None:
    bench = Bench()
    call = {"call_id": "call_1", "name": "get_weather", "arguments": "{}"}
    bench.send("conversation.item.create", item={"type": "function_call", **call})
    output = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}
    bench.send("conversation.item.create", item=output)
    item = bench.last("conversation.item.done")["item"]
    assert item["output"] == "12 degrees"
    assert "status" not in item


def test_an_output_of_a_call_that_nobody_made_is_refused() -> None:
    bench = Bench()
    output = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}
    bench.send("conversation.item.create", item=output)
    assert bench.error() == {
        "type": "invalid_request_error",
        "code": "invalid_tool_call_id",
        "message": "Tool call ID 'call_1' not found in conversation.",
        "param": None,
        "event_id": None,
    }
    assert not bench.all("conversation.item.added")


def test_audio_is_kept_only_until_its_words_are_known() -> None:
    bench = Bench()
    bench.hear(20, speech=True)
    bench.hear(20, speech=False)
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    kept = weakref.ref(transcribe.pcm)
    del transcribe
    bench.think()
    bench.tick(150)
    assert kept() is None
    usage = bench.one("response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] > 5, "its length is not forgotten"


def test_of_what_nobody_commits_five_minutes_are_kept() -> None:
    buffer = InputBuffer()
    for _ in range(310):
        buffer.append(np.zeros(16_000, np.int16))
    assert buffer.milliseconds == 300_000
    assert len(buffer.take(from_ms=309_000)) == 16_000


def test_on_a_websocket_an_interrupted_answer_keeps_nobody_busy() -> None:
    bench = Bench(media=False)
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(30)
    bench.hear(5, speech=True)
    assert bench.one("response.done")["response"]["status"] == "cancelled"
    assert bench.protocol.idle


def test_tracing_that_is_on_stays_as_it_is() -> None:
    bench = Bench()
    bench.update(tracing={"workflow_name": "desk"})
    bench.update(tracing={"workflow_name": "desk"}, instructions="Hi")
    for other in (None, "auto"):
        bench.update(tracing=other, instructions="Ho")
        assert bench.error()["param"] == "session.tracing"
    assert bench.session.snapshot()["tracing"] == {"workflow_name": "desk"}
    assert bench.session.instructions == "Hi", "all of an update or nothing"


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


def test_what_the_client_truncates_is_forgotten() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=2.0)
    bench.tick(150)
    item_id = bench.one("response.output_item.done")["item"]["id"]
    where = {"item_id": item_id, "content_index": 0}
    bench.send("conversation.item.truncate", **where, audio_end_ms=2001)
    assert bench.error()["message"] == "Audio content of 2000ms is already shorter than 2001ms"
    bench.send("conversation.item.truncate", **where, audio_end_ms=700)
    assert bench.one("conversation.item.truncated")["audio_end_ms"] == 700
    bench.send("conversation.item.retrieve", item_id=item_id)
    assert bench.one("conversation.item.retrieved")["item"]["content"][0]["transcript"] == ""


def test_an_expired_session_says_so_and_hangs_up() -> None:
    bench = Bench()
    bench.protocol.expire()
    bench.collect()
    assert bench.error()["code"] == "session_expired"
    assert bench.commands == [HangUp(bench.error()["message"])]


def test_a_fault_of_the_server_is_an_error_event() -> None:
    bench = Bench()
    bench.protocol.report_failure()
    bench.collect()
    assert bench.error()["type"] == "server_error"


@pytest.mark.parametrize(
    "message",
    [
        *("{", b"\x00\xff\xfe", "[" * 100_000, "[]", "{}"),
        '{"type": "response.create", "event_id": NaN}',
        f'{{"type": "response.create", "response": {"[" * 100}{"]" * 100}}}',
    ],
    ids=["cut", "binary", "endless", "array", "nothing", "NaN", "deep"],
)
def test_what_is_no_event_is_an_error_event_and_the_call_goes_on(message: str | bytes) -> None:
    bench = Bench()
    bench.send_raw(message)
    assert bench.error()["code"] == "invalid_event"
    bench.send("response.create")
    assert bench.events[-1]["type"] == "response.created"


def message(**fields: Any) -> dict[str, Any]:
    return {"item": {"type": "message", "role": "user", "content": [], **fields}}


TRUNCATE = {"item_id": "x", "content_index": 0, "audio_end_ms": 1}


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("scooby.dooby.doo", {}, "invalid_value", "type"),
        (["session.update"], {}, "invalid_value", "type"),
        ("session.update", {}, "missing_required_parameter", "session"),
        ("session.update", {"session": {}}, "missing_required_parameter", "session.type"),
        ("session.update", {"session": []}, "invalid_value", "session"),
        ("response.create", {"respond": {}}, "unknown_parameter", "respond"),
        ("response.create", {"response": {"voice": 1}}, "unknown_parameter", "response.voice"),
        ("response.create", {"response": {"conversation": "both"}}, "invalid_value",
         "response.conversation"),
        ("response.create", {"response": {"output_modalities": ["text", "audio"]}},
         "invalid_value", "response.output_modalities"),
        ("response.create", {"response": {"metadata": {"a": 1}}}, "invalid_value",
         "response.metadata.a"),
        ("response.create", {"response": {"metadata": {"a": "x" * 513}}}, "invalid_value",
         "response.metadata"),
        ("response.create", {"response": {"input": [{"type": "item_reference", "id": "x"}]}},
         "item_retrieve_invalid_item_id", "item_id"),
        ("response.create", {"response": {"input": [{"type": "item_reference"}]}},
         "missing_required_parameter", "response.input[0].id"),
        ("response.cancel", {}, "response_cancel_not_active", None),
        ("response.cancel", {"response_id": "resp_x"}, "response_cancel_not_active", None),
        ("response.cancel", {"response_id": 1}, "invalid_value", "response_id"),
        ("input_audio_buffer.append", {"audio": "***"}, "invalid_value", "audio"),
        ("input_audio_buffer.append", {"audio": "AA=="}, "invalid_value", "audio"),
        ("input_audio_buffer.append", {"audio": 3}, "invalid_value", "audio"),
        ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty", None),
        ("conversation.item.retrieve", {"item_id": "x"}, "item_retrieve_invalid_item_id",
         "item_id"),
        ("conversation.item.retrieve", {"item_id": None}, "invalid_value", "item_id"),
        ("conversation.item.delete", {"item_id": "x"}, "item_delete_invalid_item_id", "item_id"),
        ("conversation.item.truncate", TRUNCATE, "item_truncate_invalid_item_id", "item_id"),
        ("conversation.item.create", {"item": {"role": "user"}}, "missing_required_parameter",
         "item.type"),
        ("conversation.item.create", {"item": {"type": "message"}}, "missing_required_parameter",
         "item.role"),
        ("conversation.item.create", message(role="robot"), "invalid_value", "item.role"),
        ("conversation.item.create", message(content="hello"), "invalid_value", "item.content"),
        ("conversation.item.create", message(content=[{"type": "text", "text": "hello"}]),
         "invalid_value", "item.content[0].type"),
        ("conversation.item.create", {"item": {"type": "function_call_output", "output": "x"}},
         "missing_required_parameter", "item.call_id"),
        ("conversation.item.create", {"previous_item_id": "x", **message()}, "invalid_value",
         "previous_item_id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_error_event_and_the_call_goes_on(
    kind: Any, fields: dict[str, Any], code: str, param: str | None
) -> None:
    bench = Bench()
    bench.send(kind, **fields, event_id="mine")
    error = bench.error()
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    bench.send("response.create")
    assert bench.events[-1]["type"] == "response.created"


def test_only_the_models_audio_can_be_truncated() -> None:
    bench = Bench()
    bench.send("conversation.item.create", item=user_text("hello", id="x"))
    bench.send("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=1)
    assert bench.error()["code"] is None
    assert bench.error()["message"] == "Only model output audio messages can be truncated"


def test_an_id_can_be_used_once() -> None:
    bench = Bench()
    for _ in range(2):
        bench.send("conversation.item.create", item=user_text("hello", id="x"))
    assert bench.error()["param"] == "item.id"


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    bench = Bench()
    bench.update(audio={"output": {"voice": "coral"}})
    assert bench.last("session.updated")["session"]["audio"]["output"]["voice"] == "coral"
    bench.send("response.create")
    bench.think()
    bench.tick()
    bench.update(instructions="Be brief.", audio={"output": {"voice": "sage"}})
    assert bench.error()["code"] == "cannot_update_voice"
    assert bench.error()["param"] == "session.audio.output.voice"
    bench.update(audio={"output": {"voice": "coral"}})
    unchanged = bench.last("session.updated")["session"]
    assert unchanged["instructions"] != "Be brief."
    bench.tick(120)
    bench.send("response.create", response={"audio": {"output": {"voice": "sage"}}})
    assert bench.error()["param"] == "response.audio.output.voice"
