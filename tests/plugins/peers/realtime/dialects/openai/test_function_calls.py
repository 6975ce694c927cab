"""Function calls in the protocol: asked for, answered in order, gone on with once."""

from __future__ import annotations

import json
import logging
from typing import Any

from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.events import RealtimeEventInvalid
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall

LOG = logging.getLogger("rtpipe.stage.realtime")
CLIENT_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)


class Talk:
    """A protocol in a session that stands, and all that it has put out."""

    def __init__(self, *tools: str) -> None:
        self.protocol = RealtimeProtocol({}, given=lambda: True, mask=str, log=LOG, tools=tools)
        self.protocol.give_up_waiting()
        self.outputs: list[Any] = []

    def hear(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.outputs += self.protocol.receive(json.dumps(event))

    def answer(self, call_id: str, output: str) -> None:
        self.outputs += self.protocol.answer(call_id, output)

    def asked(self) -> list[ToolCall]:
        return [output for output in self.outputs if isinstance(output, ToolCall)]

    def sent(self) -> list[str]:
        """Return what was sent since the last look, outputs by their text."""
        commands = [output for output in self.outputs if isinstance(output, Command)]
        self.outputs = [output for output in self.outputs if not isinstance(output, Command)]
        for command in commands:
            CLIENT_EVENT.validate_json(command.text(), strict=True)
        return [c.data.get("item", {}).get("output", c.data["type"]) for c in commands]


def call(number: int, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {
        "id": f"item_{number}",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": f"call_{number}",
        "arguments": arguments,
    }


def created(id: str) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": id}}


def done(id: str, *items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    response = {"id": id, "status": status, "output": list(items)}
    return {"type": "response.done", "response": response}


SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "u"}
STARTED = {"type": "output_audio_buffer.started", "response_id": "a"}
STOPPED = {"type": "output_audio_buffer.stopped", "response_id": "a"}
SAYING = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_audio", "transcript": "Let me see."}],
}


def test_the_recorded_sequence(sequences: dict[str, Any]) -> None:
    recorded = sequences["6_function_call"]
    names = {
        e["event"]["item"]["name"]
        for e in recorded
        if e["event"].get("item", {}).get("type") == "function_call"
    }
    talk = Talk(*names)
    theirs = [e["event"] for e in recorded if e["dir"] == "client"]
    for entry in recorded:
        if entry["dir"] == "server":
            talk.hear(entry["event"])
        elif entry["event"]["type"] == "conversation.item.create":
            (asked,) = talk.asked()
            assert asked.call_id == entry["event"]["item"]["call_id"]
            assert json.loads(asked.arguments) is not None
            talk.answer(asked.call_id, entry["event"]["item"]["output"])
    assert talk.sent() == [e.get("item", {}).get("output", e["type"]) for e in theirs]
    assert talk.protocol.idle


def test_outputs_go_in_the_order_of_the_calls_and_the_model_goes_on_once() -> None:
    talk = Talk("f")
    talk.hear(created("a"), done("a", SAYING, call(1), call(2), call(3)))
    assert [asked.call_id for asked in talk.asked()] == ["call_1", "call_2", "call_3"]
    talk.answer("call_3", "three")
    assert talk.sent() == []
    talk.answer("call_1", "one")
    assert talk.sent() == ["one"]
    assert not talk.protocol.idle
    talk.answer("call_2", "two")
    assert talk.sent() == ["two", "three", "response.create"]


def test_the_model_goes_on_when_what_it_says_meanwhile_is_generated() -> None:
    talk = Talk("f")
    talk.hear(created("a"), done("a", call(1)), created("b"))
    talk.answer("call_1", "one")
    assert talk.sent() == ["one"]
    talk.hear(done("b"))
    assert talk.sent() == ["response.create"]


def test_a_call_is_made_once_however_often_it_is_told() -> None:
    talk = Talk("f")
    talk.hear(created("a"), done("a", call(1)), done("a", call(1)))
    assert len(talk.asked()) == 1


def test_calls_of_other_peoples_functions_are_left_to_them() -> None:
    talk = Talk("f")
    tools = [{"type": "function", "name": name} for name in ("f", "theirs")]
    talk.hear({"type": "session.updated", "session": {"tools": tools}})
    talk.hear(created("a"), done("a", call(1, "theirs"), call(2)))
    assert [asked.name for asked in talk.asked()] == ["f"]


def test_a_function_that_nobody_declared_is_answered_here() -> None:
    talk = Talk("f")
    talk.hear(created("a"), done("a", call(1, "made_up")))
    assert [asked.name for asked in talk.asked()] == ["made_up"]
    talk.answer("call_1", "no")
    assert talk.sent() == ["no", "response.create"]


def test_arguments_may_come_as_an_object() -> None:
    talk = Talk("f")
    talk.hear(created("a"), done("a", {**call(1), "arguments": {"day": "Monday"}}))
    assert [asked.arguments for asked in talk.asked()] == ['{"day": "Monday"}']


def test_a_broken_off_answer_calls_nothing() -> None:
    talk = Talk("f")
    for status in ("cancelled", "incomplete", "failed"):
        talk.hear(created(status), done(status, call(1, arguments='{"ci'), status=status))
    assert talk.asked() == []
    assert talk.protocol.idle


def test_after_an_interruption_the_outputs_are_for_the_visitors_next_turn() -> None:
    talk = Talk("f")
    talk.hear(created("a"), STARTED, done("a", SAYING, call(1)))
    talk.hear(SPEECH)
    talk.answer("call_1", "one")
    assert talk.sent() == ["one"]


def test_who_speaks_while_the_model_waits_interrupts_nothing() -> None:
    talk = Talk("f")
    talk.hear(created("a"), STARTED, done("a", SAYING, call(1)), STOPPED)
    talk.hear(SPEECH)
    talk.answer("call_1", "one")
    assert talk.sent() == ["one", "response.create"]


def test_an_answer_that_was_interrupted_and_generated_all_the_same_is_not_gone_on_with() -> None:
    talk = Talk("f")
    talk.hear(created("a"), STARTED, SPEECH, done("a", SAYING, call(1)))
    talk.answer("call_1", "one")
    assert talk.sent() == ["one"]


def test_a_call_whose_function_cannot_be_read_is_told_and_nothing_waits_for_it() -> None:
    talk = Talk("f")
    talk.hear(created("r1"), done("r1", {**call(1), "name": ["f"]}, call(2)))
    assert [asked.call_id for asked in talk.asked()] == ["call_2"]
    assert [o.problem for o in talk.outputs if isinstance(o, RealtimeEventInvalid)]
    talk.answer("call_2", "done")
    assert talk.sent() == ["done", "response.create"]
    assert not talk.protocol.answering
