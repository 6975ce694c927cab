"""Events as the beta API had them, and as some who copied it still do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe_realtime_server.talk.outputs import Event

_EVENTS = {
    "response.output_text.": "response.text.",
    "response.output_audio_transcript.": "response.audio_transcript.",
    "response.output_audio.": "response.audio.",
    "conversation.item.added": "conversation.item.created",
}
_PARTS = {"output_text": "text", "output_audio": "audio"}
_KEYS = {
    "output_modalities": "modalities",
    "max_output_tokens": "max_response_output_tokens",
}
_PLACES = {
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
}
_FORMATS = {"pcm16": {"type": "audio/pcm", "rate": 24000}}


def as_in_beta(event: Event) -> Event:
    """Return an event with the names and the shape that it had before GA."""
    kind: str = event["type"]
    for name, beta_name in _EVENTS.items():
        if kind.startswith(name):
            kind = kind.replace(name, beta_name)
    changed = {key: _renamed(value) for key, value in event.items()}
    if "session" in event:
        changed["session"] = _flattened(event["session"])
    return {**changed, "type": kind}


def from_beta(message: str | bytes) -> str | bytes:
    """Return a client's message with the session as it is now, if it has that of the beta."""
    try:
        event = json.loads(message)
        session = event["session"]
        flat = isinstance(session, dict) and "audio" not in session
    except (ValueError, TypeError, KeyError):
        return message
    if event.get("type") != "session.update" or not flat:
        return message
    nested: dict[str, Any] = {"type": "realtime"}
    for key, value in session.items():
        *outer, last = _PLACES.get(key, (key,))
        inside = nested
        for name in outer:
            inside = inside.setdefault(name, {})
        inside[last] = _FORMATS.get(value, value) if last == "format" else value
    return json.dumps({**event, "session": nested})


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {_KEYS.get(key, key): _renamed(inner) for key, inner in value.items()}
    if value.get("type") in _PARTS:
        changed["type"] = _PARTS[value["type"]]
    if value.get("type") == "message":
        changed["object"] = "realtime.item"
    return changed


def _flattened(session: dict[str, Any]) -> dict[str, Any]:
    """Return a session with its settings side by side, as they were before `audio`."""
    flat: dict[str, Any] = _renamed({k: v for k, v in session.items() if k != "audio"})
    given, taken = session["audio"]["input"], session["audio"].get("output", {})
    return {
        **flat,
        "input_audio_format": "pcm16",
        "input_audio_transcription": given.get("transcription"),
        "turn_detection": given.get("turn_detection"),
        "output_audio_format": "pcm16",
        "voice": taken.get("voice"),
        "speed": taken.get("speed"),
    }
