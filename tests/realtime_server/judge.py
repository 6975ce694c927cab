"""Judges server events: OpenAI's own types, strict, and the exact key sets of recorded traffic.

The types accept unknown extra fields, so the key sets (`golden_keys.json`) are checked as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from openai.types.realtime import RealtimeServerEvent, RealtimeTranscriptionSessionCreateResponse

_GOLDEN = json.loads(Path(__file__).with_name("golden_keys.json").read_text())
_MODELS = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(RealtimeServerEvent)[0])
}


def judge(event: dict[str, Any], *, media: bool = True) -> None:
    """Raise AssertionError or pydantic's ValidationError for what OpenAI would not send.

    Args:
        event: A server's event.
        media: The audio travels beside the events (WebRTC), not in them (WebSocket).
    """
    kind = event.get("type")
    assert kind in _MODELS, f"{kind} is no server event"
    if media:
        assert kind != "response.output_audio.delta", "audio travels on the track"
    else:
        assert not kind.startswith("output_audio_buffer."), "the client plays the audio"
    _MODELS[kind].model_validate_json(json.dumps(event), strict=True)
    _same_keys(event, _GOLDEN["events"][kind])
    if "session" in event:
        _session(event["session"])
    if "response" in event:
        _response(event["response"])
    if "item" in event:
        _item(event["item"], retrieved=kind == "conversation.item.retrieved")
    if "part" in event:
        _same_keys(event["part"], _GOLDEN["part"][event["part"]["type"]])
    if "error" in event:
        name = "error" if kind == "error" else "transcription_error"
        _same_keys(event["error"], _GOLDEN["objects"][name])


def _session(session: dict[str, Any]) -> None:
    objects = _GOLDEN["objects"]
    if session["type"] == "transcription":
        RealtimeTranscriptionSessionCreateResponse.model_validate(session, strict=True)
        _same_keys(session, objects["transcription"])
        _same_keys(session["audio"], ["input"])
        _same_keys(session["audio"]["input"], objects["transcription.audio.input"])
        turns = session["audio"]["input"]["turn_detection"]
        if turns and turns["type"] == "server_vad":
            _same_keys(turns, objects["transcription/server_vad"])
        return
    _same_keys(session, objects["session"])
    for side in ("input", "output"):
        _same_keys(session["audio"][side], objects[f"session.audio.{side}"])
    heard = session["audio"]["input"]
    if heard["turn_detection"]:
        _same_keys(
            heard["turn_detection"], objects[f"turn_detection/{heard['turn_detection']['type']}"]
        )
    if heard["transcription"]:
        _same_keys(heard["transcription"], objects["session.audio.input.transcription"])


def _response(response: dict[str, Any]) -> None:
    objects = _GOLDEN["objects"]
    _same_keys(response, objects["response"])
    _same_keys(response["audio"], ["output"])
    _same_keys(response["audio"]["output"], objects["response.audio.output"])
    if response["status"] == "in_progress":
        assert response["usage"] is None
    else:
        _same_keys(response["usage"], objects["usage"])
        for details in ("input_token_details", "output_token_details"):
            _same_keys(response["usage"][details], objects[details])
    for item in response["output"]:
        _item(item)


def _item(item: dict[str, Any], *, retrieved: bool = False) -> None:
    kind = item["type"]
    if kind == "message":
        role = item["role"]
        kind = f"message/{'user' if role == 'system' else role}"
    expected = _GOLDEN["items"][kind]
    _same_keys(item, [*expected, "object"] if retrieved else expected)
    for part in item.get("content", []):
        _same_keys(part, _GOLDEN["content"][part["type"]])


def _same_keys(given: Any, expected: list[str]) -> None:
    assert isinstance(given, dict)
    assert sorted(given) == sorted(expected)
