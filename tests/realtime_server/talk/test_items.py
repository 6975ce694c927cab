"""Items that a client makes: their places, their ids, the outputs of tools."""

from __future__ import annotations

import pytest

from realtime_server.bench import Bench, asked, user_text


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


def test_an_id_can_be_used_once() -> None:
    bench = Bench()
    for _ in range(2):
        bench.send("conversation.item.create", item=user_text("hello", id="x"))
    assert bench.error()["param"] == "item.id"
