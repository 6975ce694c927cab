"""MCP: what the server does with tools of its own is told; what it may do is asked."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.peers.realtime.dialects.openai.talk import Talk, created, done
from rtpipe import Event, StageError

REQUEST = {
    "id": "mcpr_1",
    "type": "mcp_approval_request",
    "server_label": "shop",
    "name": "buy",
    "arguments": '{"ticket": "day"}',
}
CALL = {"id": "mcp_1", "type": "mcp_call", "server_label": "shop", "name": "buy"}


def item(what: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"type": what, "item": given}


def mcp(talk: Talk) -> list[str]:
    return [
        f"{output.type}: {output.line()}"
        for output in talk.outputs
        if isinstance(output, Event) and output.type.startswith("mcp.")
    ]


def decide(talk: Talk, *, approve: bool, **which: str) -> list[Any]:
    wanted = {"name": "", "request_id": "", "reason": "", **which}
    return talk.take(talk.protocol.decide(approve=approve, **wanted))


def test_a_list_of_tools_that_failed_is_told_once_with_its_reason() -> None:
    talk = Talk()
    listing = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop", "tools": []}
    talk.hear(
        {"type": "mcp_list_tools.in_progress", "item_id": "mcpl_1"},
        item("conversation.item.added", listing),
        {"type": "mcp_list_tools.failed", "item_id": "mcpl_1"},
        item("conversation.item.done", {**listing, "error": {"message": "no route"}}),
    )
    assert mcp(talk) == ["mcp.tools_failed: the tools of the MCP server `shop` could not be listed"]


def test_a_list_of_tools_is_told() -> None:
    talk = Talk()
    tools = [{"name": "buy", "input_schema": {}}, {"name": "look", "input_schema": {}}]
    listing = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop"}
    talk.hear(
        item("conversation.item.added", {**listing, "tools": []}),
        {"type": "mcp_list_tools.completed", "item_id": "mcpl_1"},
        item("conversation.item.done", {**listing, "tools": tools}),
    )
    assert mcp(talk) == ["mcp.tools_listed: the MCP server `shop` has buy, look"]


@pytest.mark.parametrize("first", ["item", "event"])
def test_a_call_that_failed_is_told_once_in_any_order(first: str) -> None:
    talk = Talk()
    failed = {"type": "response.mcp_call.failed", "item_id": "mcp_1"}
    over = item("response.output_item.done", {**CALL, "error": {"message": "sold out"}})
    talk.hear(
        created("r"),
        item("response.output_item.added", CALL),
        {"type": "response.mcp_call_arguments.done", "item_id": "mcp_1", "arguments": "{}"},
        {"type": "response.mcp_call.in_progress", "item_id": "mcp_1"},
        *((over, failed) if first == "item" else (failed, over)),
        done("r"),
    )
    assert mcp(talk) == [
        "mcp.called: `buy` of the MCP server `shop` runs with {}",
        "mcp.failed: `buy` of the MCP server `shop` failed: sold out",
    ]


def test_a_call_that_failed_without_a_word_is_told_with_the_end_of_its_response() -> None:
    talk = Talk()
    failed = {"type": "response.mcp_call.failed", "item_id": "mcp_1"}
    talk.hear(created("r"), item("response.output_item.added", CALL), failed, done("r"))
    assert mcp(talk)[-1] == "mcp.failed: `buy` of the MCP server `shop` failed"


def test_a_call_that_returned_is_told_with_its_output() -> None:
    talk = Talk()
    talk.hear(item("conversation.item.done", {**CALL, "output": "bought", "error": None}))
    (_, returned) = [output for output in talk.outputs if output.type.startswith("mcp.")]
    assert (returned.type, returned.output) == ("mcp.returned", "bought")


def test_a_request_waits_for_approval_and_is_answered_once() -> None:
    talk = Talk()
    ended = done("r")
    ended["response"]["output"] = [REQUEST]
    talk.hear(item("response.output_item.done", REQUEST), created("r"), ended)
    assert mcp(talk) == [
        'mcp.approval_requested: may `buy` of the MCP server `shop` run with {"ticket": "day"}?'
    ]
    decide(talk, approve=True)
    (command,) = talk.commands()
    assert command["item"].pop("id").startswith("item_")
    assert command["item"] == {
        "type": "mcp_approval_response",
        "approval_request_id": "mcpr_1",
        "approve": True,
    }
    assert mcp(talk)[1:] == ["mcp.approval_answered: `buy` of the MCP server `shop` was approved"]
    with pytest.raises(StageError, match="no request waits for approval"):
        decide(talk, approve=True)
    assert talk.protocol.unconfirmed == []  # another call has not asked


def test_who_names_a_tool_never_approves_another() -> None:
    talk = Talk()
    other = {**REQUEST, "id": "mcpr_2", "name": "look"}
    talk.hear(*(item("conversation.item.done", each) for each in (REQUEST, other)))
    decide(talk, approve=True, name="look")
    decide(talk, approve=False, request_id="mcpr_1", reason="too dear")
    answered = [(c["item"]["approval_request_id"], c["item"]["approve"]) for c in talk.commands()]
    assert answered == [("mcpr_2", True), ("mcpr_1", False)]
    assert talk.commands()[1]["item"]["reason"] == "too dear"
    with pytest.raises(StageError, match="no request of `look` waits"):
        decide(talk, approve=True, name="look")


@pytest.mark.parametrize("approve", [True, False])
def test_the_file_may_answer_for_everybody(approve: Any) -> None:
    talk = Talk(approvals={"shop": approve})
    talk.hear(item("conversation.item.done", REQUEST))
    (command,) = talk.commands()
    assert command["item"]["approve"] is approve
    assert [line.partition(":")[0] for line in mcp(talk)] == [
        "mcp.approval_requested",
        "mcp.approval_answered",
    ]
