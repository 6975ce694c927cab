"""The session object: defaults, merging, clearing, refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from realtime_server.bench import session
from rtpipe_realtime_server.session.rejection import Rejected
from rtpipe_realtime_server.session.session import Session


def update(target: Session, **given: Any) -> None:
    target.update({"type": "realtime", **given})


@pytest.mark.parametrize(
    ("model", "silence_ms", "voice"),
    [
        ("gpt-realtime", 200, "alloy"),
        ("gpt-realtime-2025-08-28", 200, "alloy"),
        ("gpt-realtime-2.1", 500, "marin"),
        ("my-azure-deployment", 500, "marin"),
    ],
)
def test_defaults_depend_on_the_model(model: str, silence_ms: int, voice: str) -> None:
    effective = session(model=model).snapshot()
    assert effective["model"] == model
    assert effective["audio"]["input"]["turn_detection"]["silence_duration_ms"] == silence_ms
    assert effective["audio"]["output"]["voice"] == voice


def test_an_update_leaves_its_siblings_as_they_were() -> None:
    target = session(instructions="Be kind.")
    before = target.snapshot()
    update(target, audio={"input": {"turn_detection": {"threshold": 0.7}}})
    expected = copy.deepcopy(before)
    expected["audio"]["input"]["turn_detection"]["threshold"] = 0.7
    assert target.snapshot() == expected


def test_null_and_empty_values_clear() -> None:
    target = session(
        instructions="Be kind.",
        tools=[{"type": "function", "name": "weather"}],
        audio={"input": {"transcription": {"model": "whisper-1"}}},
        tracing="auto",
    )
    update(
        target,
        instructions="",
        tools=[],
        tracing=None,
        audio={"input": {"turn_detection": None, "transcription": None, "noise_reduction": None}},
    )
    effective = target.snapshot()
    assert effective["instructions"] == ""
    assert effective["tools"] == []
    assert effective["tracing"] is None
    assert effective["audio"]["input"]["turn_detection"] is None
    assert effective["audio"]["input"]["transcription"] is None
    assert target.turn_detection is None
    assert not target.transcribes


def test_the_effective_object_fills_in_what_was_left_out() -> None:
    target = session(
        tools=[{"type": "function", "name": "weather"}],
        audio={"input": {"transcription": {"model": "whisper-1"}}},
    )
    effective = target.snapshot()
    assert effective["tools"] == [{"type": "function", "name": "weather", "description": None}]
    assert effective["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": None,
        "prompt": None,
    }


def test_another_kind_of_turn_detection_starts_from_its_own_defaults() -> None:
    target = session()
    update(target, audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert target.snapshot()["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    slow = target.turn_detection
    update(target, audio={"input": {"turn_detection": {"eagerness": "high"}}})
    fast = target.turn_detection
    assert slow is not None
    assert fast is not None
    assert fast.silence_duration_ms < slow.silence_duration_ms
    update(target, audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert target.turn_detection is not None
    assert target.turn_detection.silence_duration_ms == 200


def test_the_model_stays_and_a_client_may_repeat_one() -> None:
    target = session()
    update(target, model="gpt-realtime-2.1")
    assert target.snapshot()["model"] == "gpt-realtime"


def test_what_recorded_sessions_do_not_echo_is_accepted_and_not_echoed() -> None:
    target = session(reasoning={"effort": "low"}, parallel_tool_calls=True)
    assert not {"reasoning", "parallel_tool_calls"} & target.snapshot().keys()


def test_snapshots_are_copies() -> None:
    target = session()
    target.snapshot()["audio"]["output"]["voice"] = "sage"
    assert target.voice == "alloy"


def turn_detection(**given: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": given}}}


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"audio": {"in": {}}}, "unknown_parameter", "session.audio.in"),
        (turn_detection(treshold=1), "unknown_parameter",
         "session.audio.input.turn_detection.treshold"),
        (turn_detection(threshold=7), "invalid_value",
         "session.audio.input.turn_detection.threshold"),
        (turn_detection(threshold="0.5"), "invalid_value",
         "session.audio.input.turn_detection.threshold"),
        (turn_detection(type="none"), "invalid_value", "session.audio.input.turn_detection.type"),
        (turn_detection(silence_duration_ms=0.5), "invalid_value",
         "session.audio.input.turn_detection.silence_duration_ms"),
        (turn_detection(silence_duration_ms=True), "invalid_value",
         "session.audio.input.turn_detection.silence_duration_ms"),
        (turn_detection(idle_timeout_ms=4999), "invalid_value",
         "session.audio.input.turn_detection.idle_timeout_ms"),
        (turn_detection(create_response="yes"), "invalid_value",
         "session.audio.input.turn_detection.create_response"),
        (turn_detection(type="semantic_vad", eagerness="very"), "invalid_value",
         "session.audio.input.turn_detection.eagerness"),
        ({"audio": {"output": {"voice": "nobody"}}}, "invalid_value",
         "session.audio.output.voice"),
        ({"audio": {"output": {"speed": 9}}}, "invalid_value", "session.audio.output.speed"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "invalid_value",
         "session.audio.input.format.rate"),
        ({"audio": {"input": {"format": {"type": "audio/pcm"}}}}, "missing_required_parameter",
         "session.audio.input.format.rate"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": None}}}},
         "missing_required_parameter", "session.audio.output.format.rate"),
        ({"audio": None}, "invalid_value", "session.audio"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 99999}, "invalid_value", "session.max_output_tokens"),
        ({"instructions": None}, "invalid_value", "session.instructions"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tools": [{"type": "hammer"}]}, "invalid_value", "session.tools[0].type"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "missing_required_parameter",
         "session.tools[0].server_url"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": ""}]},
         "missing_required_parameter", "session.tools[0].server_url"),
        ({"tools": [{"type": "mcp", "server_url": "https://x.example"}]},
         "missing_required_parameter", "session.tools[0].server_label"),
        ({"tools": [{"type": "mcp", "server_label": "x", "url": "https://x.example"}]},
         "unknown_parameter", "session.tools[0].url"),
        ({"instructions": "x" * 300_000}, "string_above_max_length", "session"),
        ({"tool_choice": "sometimes"}, "invalid_value", "session.tool_choice"),
        ({"truncation": {"type": "retention_ratio", "retention_ratio": 2}}, "invalid_value",
         "session.truncation.retention_ratio"),
        ({"include": ["everything"]}, "invalid_value", "session.include[0]"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
    ],
)  # fmt: skip
def test_a_refused_update_changes_nothing(given: dict[str, Any], code: str, param: str) -> None:
    target = session()
    before = target.snapshot()
    with pytest.raises(Rejected) as refusal:
        target.update({"type": "realtime", "prompt": {"id": "p"}, **given})
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert target.snapshot() == before


def test_turn_detection_that_is_off_needs_a_type_to_come_back() -> None:
    target = session(audio={"input": {"turn_detection": None}})
    with pytest.raises(Rejected) as refusal:
        update(target, **turn_detection(threshold=0.5))
    assert refusal.value.code == "missing_required_parameter"
    update(target, **turn_detection(type="server_vad", threshold=0.4))
    assert target.turn_detection is not None
    assert target.turn_detection.threshold == 0.4


def test_the_voice_of_one_who_has_spoken_is_fixed() -> None:
    target = session()
    with pytest.raises(Rejected) as refusal:
        target.update({"type": "realtime", "audio": {"output": {"voice": "sage"}}}, spoke=True)
    assert refusal.value.code == "cannot_update_voice"
    target.update({"type": "realtime", "audio": {"output": {"voice": "alloy"}}}, spoke=True)
