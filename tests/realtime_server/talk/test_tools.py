"""Function calls: the recorded order, the pairing by call_id, and what the brain is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime_server.bench import Bench
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question, ToolOutput
from rtpipe_realtime_server.talk.outputs import Reply, Speak

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
DOOR = {**WEATHER, "name": "open_door"}
CALL = FunctionCall("get_weather", {"city": "London"})
ARGUMENTS = '{"city": "London"}'
BEGUN = ["response.output_item.added", "conversation.item.added"]
CALLED = [
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]
ENDED = ["response.done", "rate_limits.updated"]


@pytest.fixture
def bench() -> Bench:
    return Bench(tools=[WEATHER, DOOR])


def question(bench: Bench) -> Question:
    (reply,) = [command for command in bench.commands if isinstance(command, Reply)]
    return reply.question


def call(bench: Bench, *calls: FunctionCall, words: str = "") -> None:
    """Let a spoken turn be answered with calls."""
    bench.say()
    bench.think(answer=words, calls=calls)
    bench.tick(150)


def give_back(bench: Bench, output: str = "12 degrees") -> None:
    call_id = bench.last("response.function_call_arguments.done")["call_id"]
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    bench.send("conversation.item.create", item=item)
    bench.send("response.create")


def test_a_call_has_the_recorded_order(bench: Bench) -> None:
    call(bench, CALL)
    since = bench.kinds().index("response.created")
    assert bench.kinds()[since + 1 :] == [*BEGUN, *CALLED, *ENDED]
    deltas = [event["delta"] for event in bench.all(CALLED[0])]
    assert deltas == ['{"city":', ' "London"}']
    done = bench.one(CALLED[1])
    assert (done["name"], done["arguments"]) == ("get_weather", ARGUMENTS)
    item = bench.one("response.output_item.done")["item"]
    assert item["status"] == "completed"
    assert (item["call_id"], item["arguments"]) == (done["call_id"], ARGUMENTS)
    first = bench.one("response.output_item.added")["item"]
    assert (first["status"], first["arguments"]) == ("in_progress", "")
    assert bench.one("response.done")["response"]["output"] == [item]
    assert not bench.all("output_audio_buffer.started")


def test_what_it_returned_is_asked_about(bench: Bench) -> None:
    call(bench, CALL)
    mark = len(bench.events)
    give_back(bench)
    assert bench.kinds(mark) == [
        "conversation.item.added", "conversation.item.done", "response.created",
    ]  # fmt: skip
    item = bench.last("conversation.item.done")["item"]
    assert "status" not in item
    assert item["call_id"] == bench.one(CALLED[1])["call_id"]
    asked = question(bench)
    assert asked.heard == "When do you open on Sunday"
    assert asked.outputs == (ToolOutput("get_weather", ARGUMENTS, "12 degrees"),)
    bench.think(answer="It is 12 degrees.")
    bench.tick(150)
    bench.say()
    bench.protocol.transcribed(bench.commands.pop().item_id, "Thanks")  # type: ignore[union-attr]
    bench.collect()
    assert question(bench).outputs == (), "answered is answered"
    assert question(bench).heard == "Thanks"


def test_a_response_may_hold_a_message_and_calls(bench: Bench) -> None:
    call(bench, CALL, FunctionCall("open_door"), words="One moment, please.")
    response = bench.one("response.done")["response"]
    assert [item["type"] for item in response["output"]] == [
        "message", "function_call", "function_call",
    ]  # fmt: skip
    indexes = [event["output_index"] for event in bench.all("response.output_item.done")]
    assert indexes == [0, 1, 2]
    added = bench.all("conversation.item.added")[-3:]
    assert [event["previous_item_id"] for event in added[1:]] == [
        event["item"]["id"] for event in added[:2]
    ]
    assert bench.all("output_audio_buffer.stopped")
    give_back(bench)
    asked = question(bench)
    assert asked.heard == "When do you open on Sunday", "said before a call, it was no answer"
    assert [output.name for output in asked.outputs] == ["open_door"]


def test_the_brain_is_told_the_functions(bench: Bench) -> None:
    bench.send("response.create")
    assert [tool["name"] for tool in question(bench).tools] == ["get_weather", "open_door"]
    assert question(bench).may_call("open_door")
    assert not question(bench).may_call("close_door")


@pytest.mark.parametrize(
    ("given", "names", "must"),
    [
        ({"tool_choice": "none"}, [], False),
        ({"tool_choice": {"type": "function", "name": "open_door"}}, ["open_door"], True),
        ({"tool_choice": "required", "tools": [DOOR]}, ["open_door"], True),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]},
            [],
            False,
        ),
    ],
)
def test_a_response_may_choose_among_them(
    bench: Bench, given: dict[str, Any], names: list[str], *, must: bool
) -> None:
    bench.send("response.create", response=given)
    assert [tool["name"] for tool in question(bench).tools] == names
    assert question(bench).must_call is must


def test_a_cancelled_call_ends_with_what_was_let_out(bench: Bench) -> None:
    bench.say()
    bench.think(answer="", calls=(CALL, FunctionCall("open_door")))
    bench.tick()
    bench.send("response.cancel")
    item = bench.one("response.output_item.done")["item"]
    assert (item["status"], item["arguments"]) == ("incomplete", '{"city":')
    assert bench.one(CALLED[1])["arguments"] == '{"city":'
    assert bench.one("response.done")["response"]["status"] == "cancelled"
    bench.tick(10)
    assert len(bench.all("response.output_item.added")) == 1


def test_a_call_outside_the_conversation_makes_no_item_of_it(bench: Bench) -> None:
    bench.send("response.create", response={"conversation": "none", "input": []})
    bench.think(answer="", calls=(CALL,))
    bench.tick(10)
    assert not [kind for kind in bench.kinds() if kind.startswith("conversation.item")]
    assert bench.one("response.done")["response"]["output"][0]["name"] == "get_weather"


def test_outputs_may_be_brought_along_and_answer_nothing_known(bench: Bench) -> None:
    output = {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}
    bench.send("response.create", response={"input": [output]})
    assert question(bench).outputs == (ToolOutput("", "{}", "12 degrees"),)


@pytest.mark.parametrize("arguments", ["no json", "", " {} "])
def test_arguments_may_be_what_no_json_is(bench: Bench, arguments: str) -> None:
    call(bench, FunctionCall("get_weather", arguments))
    assert bench.one(CALLED[1])["arguments"] == arguments
    assert "".join(event["delta"] for event in bench.all(CALLED[0])) == arguments


def test_a_call_in_a_response_of_text(bench: Bench) -> None:
    bench.update(output_modalities=["text"])
    call(bench, CALL, words="One moment.")
    assert not [command for command in bench.commands if isinstance(command, Speak)]
    kinds = [item["type"] for item in bench.one("response.done")["response"]["output"]]
    assert kinds == ["message", "function_call"]


def test_an_answer_of_nothing_is_a_response_of_nothing(bench: Bench) -> None:
    bench.send("response.create")
    reply = bench.commands.pop()
    assert isinstance(reply, Reply)
    bench.protocol.replied(reply.response_id, BrainAnswer())
    bench.collect()
    response = bench.one("response.done")["response"]
    assert (response["status"], response["output"]) == ("completed", [])


def test_calls_are_counted_as_output(bench: Bench) -> None:
    call(bench, CALL)
    usage = bench.one("response.done")["response"]["usage"]
    assert usage["output_tokens"] == -(-len(json.dumps({"city": "London"})) // 4)
