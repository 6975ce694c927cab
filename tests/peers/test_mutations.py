"""The judges of events, on a conversation without a network: each must notice a broken server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from peers.conversation import UPDATES, converse
from peers.mutations import EVENTS, break_events
from peers.order import judge_order
from realtime_server import judge as judging
from realtime_server.judge import judge

GOLDEN = json.loads((Path(judging.__file__).with_name("golden_keys.json")).read_text())
NOT_IN_A_CALL = {"response.output_audio.delta", "mcp_list_tools.failed"}
BY_TYPES = {
    "no response_id",
    "no response_id when it is played",
    "no event_id",
    "no usage",
    "no usage of a transcription",
    "no item",
    "no code",
    "no tools",
    "beta names",
    "a part is output_audio",
    "a number is text",
    "an extra key",
}
"""What is wrong with a single event; the rest is wrong between events."""


def judge_each(events: list[dict[str, Any]]) -> None:
    for event in events:
        judge(event)


def test_a_conversation_with_everything_in_it_passes() -> None:
    events = converse()
    judge_each(events)
    judge_order(events, updates=UPDATES)
    assert {event["type"] for event in events} == GOLDEN["events"].keys() - NOT_IN_A_CALL


@pytest.mark.parametrize("name", sorted(BY_TYPES))
def test_the_types_notice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_events(monkeypatch, EVENTS[name]())
    events = converse()
    with pytest.raises((AssertionError, ValidationError)):
        judge_each(events)


@pytest.mark.parametrize("name", sorted(EVENTS.keys() - BY_TYPES))
def test_the_order_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_events(monkeypatch, EVENTS[name]())
    events = converse()
    with pytest.raises(AssertionError):
        judge_order(events, updates=UPDATES)
