"""A judge counts only if broken events make it fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from realtime_server.bench import Bench
from realtime_server.judge import judge


@pytest.fixture(scope="module")
def turn() -> list[dict[str, Any]]:
    bench = Bench(audio={"input": {"transcription": {"model": "whisper-1"}}})
    bench.say()
    bench.think()
    bench.tick(200)
    return bench.events


def event_of(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return copy.deepcopy(next(event for event in events if event["type"] == kind))


def test_unbroken_events_pass(turn: list[dict[str, Any]]) -> None:
    for event in turn:
        judge(event)


@pytest.mark.parametrize(
    ("kind", "break_it"),
    [
        ("response.output_audio.done", lambda e: e.pop("response_id")),
        ("output_audio_buffer.started", lambda e: e.pop("response_id")),
        ("response.created", lambda e: e.pop("event_id")),
        ("conversation.item.input_audio_transcription.completed", lambda e: e.pop("usage")),
        ("response.output_audio_transcript.delta", lambda e: e.pop("obfuscation")),
        (
            "response.output_audio_transcript.delta",
            lambda e: e.update(type="response.audio_transcript.delta"),
        ),
        ("response.output_audio.done", lambda e: e.update(type="response.output_audio.delta")),
        ("response.content_part.added", lambda e: e["part"].update(type="output_audio")),
        ("conversation.item.done", lambda e: e["item"].update(object="realtime.item")),
        ("input_audio_buffer.speech_started", lambda e: e.update(audio_start_ms="32")),
        ("response.done", lambda e: e["response"].update(usage=None)),
        ("response.done", lambda e: e["response"].pop("metadata")),
        ("response.done", lambda e: e["response"].update(status_details="completed")),
        ("session.created", lambda e: e["session"].pop("type")),
        ("session.created", lambda e: e["session"].pop("prompt")),
        (
            "session.created",
            lambda e: e["session"]["audio"]["input"].update(turn_detection={"type": "none"}),
        ),
        ("rate_limits.updated", lambda e: e.update(extra=1)),
    ],
)
def test_broken_events_fail(
    turn: list[dict[str, Any]], kind: str, break_it: Callable[[dict[str, Any]], object]
) -> None:
    event = event_of(turn, kind)
    break_it(event)
    with pytest.raises((AssertionError, ValidationError)):
        judge(event)
