"""What a client is refused, what a session ends with, and that a call goes on."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_server.bench import Bench
from rtpipe_realtime_server.talk.outputs import EndSession


def test_an_expired_session_says_so_and_hangs_up() -> None:
    bench = Bench()
    bench.protocol.expire()
    bench.collect()
    assert bench.error()["code"] == "session_expired"
    assert bench.commands == [EndSession(bench.error()["message"])]


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
