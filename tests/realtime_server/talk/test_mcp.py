"""Sessions with MCP servers: their tools are listed, which are none, for nobody is asked."""

from __future__ import annotations

from typing import Any

from realtime_server.bench import Bench

MCP = {"type": "mcp", "server_label": "museum", "server_url": "https://mcp.museum.example"}
LISTED = [
    "mcp_list_tools.in_progress",
    "conversation.item.added",
    "conversation.item.done",
    "mcp_list_tools.completed",
]


def test_a_sessions_mcp_servers_are_listed_after_the_update() -> None:
    bench = Bench()
    drive = {"type": "mcp", "server_label": "drive", "connector_id": "connector_googledrive"}
    bench.update(tools=[MCP, drive])
    assert bench.kinds(1) == ["session.updated", *LISTED, *LISTED]
    first, second = bench.all("conversation.item.done")
    assert [event["item"]["server_label"] for event in (first, second)] == ["museum", "drive"]
    assert first["item"]["tools"] == []
    ids = [event["item_id"] for event in bench.all("mcp_list_tools.completed")]
    assert ids == [first["item"]["id"], second["item"]["id"]]


def test_an_update_of_something_else_lists_nothing() -> None:
    bench = Bench()
    bench.update(tools=[MCP])
    count = len(bench.events)
    bench.update(instructions="Be brief.")
    assert bench.kinds(count) == ["session.updated"]


def test_a_call_that_begins_with_mcp_servers_begins_with_their_list() -> None:
    given: dict[str, Any] = {"tools": [MCP]}
    assert Bench(**given).kinds() == ["session.created", *LISTED]


def test_what_was_listed_is_no_question() -> None:
    bench = Bench(tools=[MCP])
    bench.say()
    bench.think()
    bench.tick(150)
    assert bench.one("response.done")["response"]["status"] == "completed"
