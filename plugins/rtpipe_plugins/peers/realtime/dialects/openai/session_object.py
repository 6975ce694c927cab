"""OpenAI's session object, made of the options: what is asked of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_OURS = {"interrupt_response": False, "create_response": False}
"""Who judges noises interrupts and answers himself."""


def session_object(options: RealtimeOptions) -> dict[str, Any]:
    """Return OpenAI's session object with what the options say and nothing else."""
    heard: dict[str, Any] = {"transcription": options.transcription}
    if "turn_detection" in options.model_fields_set:
        heard["turn_detection"] = options.turn_detection
    if options.false_interruption is not None:
        heard["turn_detection"] = {"type": "server_vad", **(options.turn_detection or {}), **_OURS}
    wanted: dict[str, Any] = {
        "type": "realtime",
        "model": options.model,
        "audio": {"input": heard},
    }
    if options.voice is not None:
        wanted["audio"]["output"] = {"voice": options.voice}
    if options.instructions is not None:
        wanted["instructions"] = options.instructions
    if options.tools:
        wanted["tools"] = [tool.declaration() for tool in options.tools]
    return merged(wanted, options.session)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it: maps merge, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        present = result.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            result[key] = merged(present, value)
        else:
            result[key] = value
    return result
