"""The fields of a session that stand for themselves, as rules of the grammar."""

from __future__ import annotations

from typing import Any

from rtpipe_realtime_server.session.grammar import (
    array,
    boolean,
    either,
    mapping,
    nullable,
    number,
    one_of,
    section,
    text,
)
from rtpipe_realtime_server.session.rejection import (
    Rejected,
    missing_parameter,
    unsupported_value,
)

_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip

_FUNCTION = section(
    {"type": text, "name": text, "description": nullable(text), "parameters": mapping,
     "strict": nullable(boolean)},
    required=("name",),
)  # fmt: skip

_MCP_PLACES = ("server_url", "connector_id", "tunnel_id")
_MCP = section(
    {
        "type": text,
        "server_label": text,
        **{place: nullable(text) for place in _MCP_PLACES},
        "server_description": nullable(text),
        "authorization": nullable(text),
        "headers": nullable(mapping),
        "allowed_tools": lambda _current, given, _path: given,
        "allowed_callers": nullable(array(text)),
        "require_approval": lambda _current, given, _path: given,
        "defer_loading": nullable(boolean),
    },
    required=("server_label",),
)

truncation = either(
    ("auto", "disabled"),
    section(
        {
            "type": one_of("retention_ratio"),
            "retention_ratio": number(0, 1),
            "token_limits": section({"post_instructions": number(0, whole=True)}),
        },
        required=("type", "retention_ratio"),
    ),
)
tool_choice = either(
    ("auto", "none", "required"),
    section(
        {"type": one_of("function", "mcp"), "name": nullable(text), "server_label": text},
        required=("type",),
    ),
)
"""Accept a way to choose tools, for the echo only."""


def voice_locked(path: str) -> Rejected:
    """The voice cannot change once the assistant has spoken."""
    return Rejected(
        "Cannot update a conversation's voice if assistant audio is present.",
        code="cannot_update_voice",
        param=path,
    )


def output_modalities(_current: Any, given: Any, path: str) -> Any:
    """Accept `["audio"]` or `["text"]`; the two exclude each other."""
    if given not in (["audio"], ["text"]):
        raise unsupported_value(path, given, ("['audio']", "['text']"))
    return given


def max_output_tokens(current: Any, given: Any, path: str) -> Any:
    """Accept 1 to 4096, or `inf`."""
    return given if given == "inf" else number(1, 4096, whole=True)(current, given, path)


def voice(_current: Any, given: Any, path: str) -> Any:
    """Accept the name of a voice, or `{"id": …}`."""
    if isinstance(given, dict):
        return section({"id": text}, required=("id",))(None, given, path)
    return one_of(*_VOICES)(None, given, path)


def audio_format(_current: Any, given: Any, path: str) -> Any:
    """Accept one of the three formats; it replaces the one that stands."""
    kinds = ("audio/pcm", "audio/pcmu", "audio/pcma")
    result = section({"type": one_of(*kinds), "rate": nullable(number(24000, 24000))},
                     required=("type",))(None, given, path)  # fmt: skip
    if result["type"] != "audio/pcm":
        return {"type": result["type"]}
    if result.get("rate") is None:
        raise missing_parameter(f"{path}.rate")
    return {"type": "audio/pcm", "rate": 24000}


def tool(_current: Any, given: Any, path: str) -> Any:
    """Accept a function or an MCP server, for the echo only."""
    mapping(None, given, path)
    kind = given.get("type")
    if kind == "mcp":
        checked = _MCP(None, given, path)
        if not any(checked.get(place) for place in _MCP_PLACES):
            raise missing_parameter(f"{path}.server_url")
        return checked
    if kind != "function":
        raise unsupported_value(f"{path}.type", kind, ("function", "mcp"))
    checked = _FUNCTION({"description": None}, given, path)
    echoed = ("type", "name", "description", "parameters")
    return {key: checked[key] for key in echoed if key in checked}


def transcription(current: Any, given: Any, path: str) -> Any:
    """Accept the settings of transcription, merged into those that stand."""
    rule = section(
        {
            "model": text,
            "language": nullable(text),
            "languages": nullable(array(text)),
            "prompt": nullable(text),
            "keywords": nullable(array(text)),
            "delay": nullable(one_of("minimal", "low", "medium", "high", "xhigh")),
        }
    )
    defaults = {"model": "gpt-4o-mini-transcribe", "language": None, "prompt": None}
    return rule(current or defaults, given, path)


def noise_reduction(current: Any, given: Any, path: str) -> Any:
    """Accept a kind of noise reduction."""
    rule = section({"type": one_of("near_field", "far_field"), "strength": number(0, 1)})
    return rule(current or {}, given, path)


def session_type(current: Any, given: Any, path: str) -> Any:
    """Accept the kind that the session has: it is fixed when it is made."""
    one_of("realtime", "transcription")(None, given, path)
    if given != current:
        raise Rejected(
            f"Passing a {given} session update event to a {current} session is not allowed.",
            param=path,
        )
    return given


def keep(current: Any, given: Any, path: str) -> Any:
    """Accept any string and keep what stands."""
    text(None, given, path)
    return current  # the model of a session is fixed when it is made; clients repeat theirs
