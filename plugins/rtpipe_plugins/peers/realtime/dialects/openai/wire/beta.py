"""The API as it was before GA, which many servers still speak: their names, and their session.

An event keeps its own name on the bus. What it means, and how such a server is asked, is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVENTS = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
_FLAT = ("input_audio_format", "output_audio_format", "modalities")
"""Keys by which a session of the beta is known."""
_PLACES = {
    ("audio", "input", "format"): "input_audio_format",
    ("audio", "input", "transcription"): "input_audio_transcription",
    ("audio", "input", "noise_reduction"): "input_audio_noise_reduction",
    ("audio", "input", "turn_detection"): "turn_detection",
    ("audio", "output", "format"): "output_audio_format",
    ("audio", "output", "voice"): "voice",
    ("audio", "output", "speed"): "speed",
    ("output_modalities",): "modalities",
    ("max_output_tokens",): "max_response_output_tokens",
}
"""Where GA has what lay side by side in the beta."""
_FORMATS: dict[str, str] = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}


def ga_name(type: str) -> str:
    """Return what GA calls the event that a server calls `type`."""
    return _EVENTS.get(type, type)


def is_flat(session: Mapping[str, Any]) -> bool:
    """Return whether a session object is one of the beta's."""
    return "audio" not in session and any(key in session for key in _FLAT)


def nested(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a session object in the shape of GA; one that has it already, as it is."""
    if not is_flat(session):
        return session
    names = set(_PLACES.values())
    shown: dict[str, Any] = {key: value for key, value in session.items() if key not in names}
    for path, name in _PLACES.items():
        if name in session:
            _put(shown, path, session[name])
    if "audio" in (shown.get("output_modalities") or ()):
        shown["output_modalities"] = ["audio"]  # the words come with it, which the beta says
    return shown


def flat(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a session object of GA the beta knows, in its shape."""
    asked = {
        key: value for key, value in session.items() if (key,) not in _PLACES and key != "audio"
    }
    asked.pop("type", None)
    for path, name in _PLACES.items():
        *outer, last = path
        inside = session
        for key in outer:
            inside = object_of(inside, key)
        if last in inside:
            asked[name] = _as_format(inside[last]) if last == "format" else inside[last]
    if asked.get("modalities") == ["audio"]:
        asked["modalities"] = ["audio", "text"]
    return asked


def _put(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *outer, last = path
    for key in outer:
        into = into.setdefault(key, {})
    into[last] = value


def _as_format(value: Any) -> Any:
    return _FORMATS.get(str(value.get("type")), value) if isinstance(value, dict) else value
