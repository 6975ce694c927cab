"""Judges the order of a conversation's server events, and what they must agree about.

Types know single events only. These are the orders of recorded traffic; what the media server adds
(`output_audio_buffer.*`) and transcription may come in between.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Event = dict[str, Any]

_USER_ITEM = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
)
_OUTPUT_ITEM = (
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    ".delta",
    "response.output_audio.done",
    ".done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
)
_TEXTS = {
    "response.output_audio_transcript": "transcript",
    "response.output_text": "text",
    "response.function_call_arguments": "arguments",
}
_PLAYED = ("output_audio_buffer.stopped", "output_audio_buffer.cleared")


def judge_order(events: list[Event], *, updates: int | None = None) -> None:
    """Raise AssertionError for a finished conversation that OpenAI would not hold.

    Args:
        events: All that was received, in order.
        updates: How many valid `session.update` the client sent; None if that is not known.
    """
    kinds = [event["type"] for event in events]
    assert kinds.count("session.created") <= 1
    assert "session.created" not in kinds[1:], "it is the first event"
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids), "an event id came twice"
    if updates is not None:
        assert kinds.count("session.updated") == updates
    responses: dict[str, list[Event]] = defaultdict(list)
    items: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if response_id := _response_id(event):
            responses[response_id].append(event)
        if item_id := _item_id(event):
            items[item_id].append(event)
    outputs = set()
    for own in responses.values():
        outputs |= _judge_response(own)
    for item_id, own in items.items():
        _judge_item(own, _OUTPUT_ITEM if item_id in outputs else _USER_ITEM)
    for item_id in outputs:
        _judge_texts(items[item_id])
    cleared = {event["response_id"] for event in events if event["type"] == _PLAYED[1]}
    for response_id in cleared:
        spoken = {_item_id(event) for event in responses[response_id]} - {None}
        kinds_of_items = {event["type"] for item_id in spoken for event in items[str(item_id)]}
        assert "conversation.item.truncated" in kinds_of_items, "cleared, but not truncated"


def _judge_response(events: list[Event]) -> set[str]:
    kinds = [event["type"] for event in events]
    assert kinds.count("response.created") == kinds.count("response.done") == 1
    assert kinds[0] == "response.created"
    created, done = events[0]["response"], events[kinds.index("response.done")]["response"]
    assert created["status"] == "in_progress"
    assert done["status"] != "in_progress"
    assert all(kind in _PLAYED for kind in kinds[kinds.index("response.done") + 1 :])
    added = [event["item"]["id"] for event in events if event["type"].endswith("item.added")]
    assert [item["id"] for item in done["output"]] == added
    if "output_audio_buffer.started" in kinds:
        assert len([kind for kind in kinds if kind in _PLAYED]) == 1, "it ends once"
        started = kinds.index("output_audio_buffer.started")
        assert kinds.index("response.content_part.added") < started < len(kinds) - 1
        assert kinds[-1] in _PLAYED or _PLAYED[1] in kinds
    return set(added)


def _judge_item(events: list[Event], order: tuple[str, ...]) -> None:
    ranks = []
    for event in events:
        kind = event["type"]
        prefix, _, last = kind.rpartition(".")
        if kind in order:
            ranks.append(order.index(kind))
        elif prefix in (*_TEXTS, "response.output_audio"):
            ranks.append(order.index(f".{last}"))
    assert ranks == sorted(ranks), [event["type"] for event in events]
    if ranks and order is _OUTPUT_ITEM:
        assert (ranks[0], ranks[-1]) == (0, len(order) - 1)
    kinds = [event["type"] for event in events]
    for what in ("added", "done"):
        assert kinds.count(f"conversation.item.{what}") <= 1
    assert ("conversation.item.added" in kinds) == ("conversation.item.done" in kinds)
    heard = [kind for kind in kinds if kind in _USER_ITEM[:3]]
    if _USER_ITEM[2] in heard and len(heard) > 1:  # a committed turn that began by speech
        assert heard == list(_USER_ITEM[:3])


def _judge_texts(events: list[Event]) -> None:
    item = next(event["item"] for event in events if event["type"] == "response.output_item.done")
    assert item["status"] in ("completed", "incomplete")
    for prefix, name in _TEXTS.items():
        done = [event for event in events if event["type"] == f"{prefix}.done"]
        deltas = [event for event in events if event["type"] == f"{prefix}.delta"]
        assert done or not deltas
        for event in done:
            assert "".join(delta["delta"] for delta in deltas) == event[name]
            assert event[name] == (item if name == "arguments" else item["content"][0])[name]
            if name == "arguments":
                assert {e["call_id"] for e in (*deltas, event, item)} == {item["call_id"]}


def _response_id(event: Event) -> str | None:
    own = event.get("response") or {}
    return event.get("response_id") or own.get("id")


def _item_id(event: Event) -> str | None:
    own = event.get("item") or {}
    return event.get("item_id") or own.get("id")
