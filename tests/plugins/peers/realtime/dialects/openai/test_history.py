"""What of a conversation another session can be told."""

from __future__ import annotations

from typing import Any

import pytest

from rtpipe_plugins.peers.realtime.dialects.openai.history import RealtimeHistory

NOW = 100.0


def added(id: str, role: str = "", previous: str | None = None, **item: Any) -> dict[str, Any]:
    whole = {"id": id, "type": "message", "role": role, "content": [], **item}
    return {"type": "conversation.item.added", "previous_item_id": previous, "item": whole}


def done(id: str, words: str, role: str = "assistant") -> dict[str, Any]:
    part = {"type": "output_audio", "transcript": words}
    item = {"id": id, "type": "message", "role": role, "content": [part]}
    return {"type": "conversation.item.done", "previous_item_id": None, "item": item}


def heard(id: str, words: str) -> dict[str, Any]:
    type = "conversation.item.input_audio_transcription.completed"
    return {"type": type, "item_id": id, "transcript": words}


def history(*events: dict[str, Any], limit: int = 40) -> RealtimeHistory:
    collected = RealtimeHistory(limit)
    for event in events:
        collected.take(event, NOW)
    return collected


def words(collected: RealtimeHistory) -> list[tuple[str, str]]:
    return [(item["role"], item["content"][0]["text"]) for item in collected.replay()]


TURN = (
    added("u1", "user", content=[{"type": "input_audio", "transcript": None}]),
    {"type": "response.output_item.added", "response_id": "r1", "item": {"id": "m1"}},
    added("m1", "assistant", previous="u1"),
    heard("u1", "Where is the café?"),
    {"type": "response.output_audio_transcript.delta", "item_id": "m1", "delta": "On the "},
    {"type": "response.output_audio_transcript.delta", "item_id": "m1", "delta": "left."},
    done("m1", "On the left."),
)
TYPED = [{"type": "input_text", "text": "Hello"}]


def test_a_spoken_turn_becomes_text() -> None:
    assert history(*TURN).replay() == [
        {
            "id": "u1",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Where is the café?"}],
        },
        {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "On the left."}],
        },
    ]


def test_items_stand_where_the_server_put_them() -> None:
    late = added("u2", "user", previous="u1", content=TYPED)
    assert [item["id"] for item in history(*TURN, late).replay()] == ["u1", "u2", "m1"]


def test_what_was_not_understood_is_left_out() -> None:
    assert words(history(*TURN[:3], done("m1", "Pardon?"))) == [("assistant", "Pardon?")]


def test_what_is_deleted_is_gone() -> None:
    gone = {"type": "conversation.item.deleted", "item_id": "u1"}
    assert words(history(*TURN, gone)) == [("assistant", "On the left.")]


def test_of_an_interrupted_answer_only_what_was_heard_is_kept() -> None:
    cut = {"type": "conversation.item.truncated", "item_id": "m1", "audio_end_ms": 500}
    assert words(history(*TURN, cut))[1] == ("assistant", "On the …")
    unheard = {**cut, "audio_end_ms": 0}
    assert words(history(*TURN, unheard)) == [("user", "Where is the café?")]
    whole = {**cut, "audio_end_ms": 60_000}
    assert words(history(*TURN, whole))[1] == ("assistant", "On the left.")


def test_a_lost_call_cuts_off_what_was_being_said() -> None:
    collected = history(*TURN, {"type": "output_audio_buffer.started", "response_id": "r1"})
    collected.break_off(NOW + 0.5)
    assert words(collected)[1] == ("assistant", "On the …")


def test_what_has_been_played_is_whole() -> None:
    begun = {"type": "output_audio_buffer.started", "response_id": "r1"}
    ended = {"type": "output_audio_buffer.stopped", "response_id": "r1"}
    collected = history(*TURN, begun, ended)
    collected.break_off(NOW + 0.1)
    assert words(collected)[1] == ("assistant", "On the left.")


def test_a_half_generated_answer_is_kept_as_far_as_it_went() -> None:
    assert words(history(*TURN[:5]))[1] == ("assistant", "On the")


def test_what_another_session_repeats_is_not_said_twice() -> None:
    collected = history(*TURN)
    told = collected.replay()
    for item in told:
        collected.take({"type": "conversation.item.added", "item": item}, NOW)
        collected.take({"type": "conversation.item.done", "item": item}, NOW)
    assert collected.replay() == told


def test_function_calls_and_their_results_are_kept_together() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "open", "arguments": ""}
    result = {"type": "function_call_output", "call_id": "c1", "output": "yes"}
    whole = {**call, "id": "f1", "arguments": "{}"}
    events = (
        added("f1", **call),
        {"type": "conversation.item.done", "item": whole},
        added("o1", **result),
    )
    assert history(*events).replay() == [whole, {**result, "id": "o1"}]
    assert history(*events, limit=1).replay() == []
    assert history(*events[:2]).replay() == []  # its result will reach nobody
    assert history(events[0], events[2]).replay() == []  # nobody knows what it was called with


def test_only_the_last_items_are_handed_on() -> None:
    events = [added(f"u{n}", "user", content=[{**TYPED[0], "text": f"{n}"}]) for n in range(50)]
    assert words(history(*events, limit=3)) == [("user", f"{n}") for n in (47, 48, 49)]
    assert history(*events, limit=0).replay() == []


def test_memory_is_bounded() -> None:
    collected = history(limit=4)
    for n in range(1000):
        collected.take(added(f"m{n}", "assistant"), NOW)
        for _ in range(3):
            collected.take(
                {
                    "type": "response.output_text.delta",
                    "item_id": f"m{n}",
                    "delta": "x" * 15_000,
                },
                NOW,
            )
    assert len(collected._items) <= 8
    assert sum(len(part["content"][0]["text"]) for part in collected.replay()) <= 4 * 20_000


@pytest.mark.parametrize(("events", "owed"), [(TURN, False), (TURN[:4], True), ((), False)])
def test_whether_an_answer_is_owed(*, events: tuple[dict[str, Any], ...], owed: bool) -> None:
    assert history(*events).answer_owed is owed


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "conversation.item.added"},
        {"type": "conversation.item.added", "item": {"id": 7}},
        {"type": "conversation.item.added", "item": {"id": "x", "type": "mcp_call"}},
        {"type": "conversation.item.added", "item": {"id": "x", "type": "message"}},
        {"type": "conversation.item.done", "item": {"id": "nobody"}},
        {"type": "conversation.item.truncated", "item_id": "m1", "audio_end_ms": "soon"},
        {"type": "output_audio_buffer.started"},
    ],
    ids=range(8),
)
def test_whatever_a_server_sends_is_survived(event: dict[str, Any]) -> None:
    collected = history(*TURN, event)
    collected.break_off(NOW + 9)
    assert len(collected.replay()) == 2
