"""The two kinds of session object: what a new one holds, and what may be changed in it."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from rtpipe_realtime_server.session import fields
from rtpipe_realtime_server.session.grammar import (
    Rule,
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
from rtpipe_realtime_server.session.rejection import missing_parameter, unsupported_value

Kind: TypeAlias = Literal["realtime", "transcription"]

EAGERNESS_MS = {"low": 2000, "medium": 1000, "auto": 1000, "high": 600}
"""OpenAI documents 8, 4 and 2 s as the longest waits of a model that knows when a sentence is
complete. We have no such model: these are its ordinary waits."""

_INSTRUCTIONS = "You are a helpful assistant. Answer in one or two short sentences."
_FIRST_GENERATION = re.compile(r"gpt-realtime(-2025-\d\d-\d\d)?")
_PCM = {"type": "audio/pcm", "rate": 24000}
_INCLUDE = nullable(array(one_of("item.input_audio_transcription.logprobs")))
_VAD: dict[str, Rule] = {
    "type": text,
    "threshold": number(0, 1),
    "prefix_padding_ms": number(0, whole=True),
    "silence_duration_ms": number(0, whole=True),
}
_IDLE: dict[str, Rule] = {"idle_timeout_ms": nullable(number(5000, 30000, whole=True))}
_ANSWERING: dict[str, Rule] = {"create_response": boolean, "interrupt_response": boolean}
_ANSWERS = {"create_response": True, "interrupt_response": True}


class SessionShape:
    """One kind of session.

    Args:
        kind: `transcription` has neither responses nor a voice.
        model: Some defaults are the model's.
    """

    def __init__(self, kind: Kind, model: str) -> None:
        self._kind = kind
        self._model = model
        first = _FIRST_GENERATION.fullmatch(model) is not None
        self._answers = kind == "realtime"
        self._silence_ms = 200 if first else 500
        self._voice = "alloy" if first else "marin"
        self.rule = self._rule()
        """Merges what a client gives into a session of this kind."""

    def fresh(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return a session that nobody has changed."""
        heard = {
            "format": dict(_PCM),
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": self._turn_detection(None, {"type": "server_vad"}, ""),
        }
        if not self._answers:
            return {
                "type": "transcription",
                "object": "realtime.transcription_session",
                "id": session_id,
                "expires_at": expires_at,
                "audio": {"input": heard},
                "include": None,
            }
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": self._model,
            "output_modalities": ["audio"],
            "instructions": _INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at,
            "audio": {
                "input": heard,
                "output": {"format": dict(_PCM), "voice": self._voice, "speed": 1.0},
            },
            "include": None,
        }

    def _rule(self) -> Rule:
        heard = section(
            {
                "format": fields.audio_format,
                "transcription": nullable(fields.transcription),
                "noise_reduction": nullable(fields.noise_reduction),
                "turn_detection": nullable(self._turn_detection),
            }
        )
        if not self._answers:
            return section(
                {
                    "type": fields.session_type,
                    "include": _INCLUDE,
                    "audio": section({"input": heard}),
                }
            )
        spoken = section(
            {"format": fields.audio_format, "voice": fields.voice, "speed": number(0.25, 1.5)}
        )
        return section(
            {
                "type": fields.session_type,
                "model": fields.keep,
                "instructions": text,
                "output_modalities": fields.output_modalities,
                "tools": array(fields.tool),
                "tool_choice": fields.tool_choice,
                "max_output_tokens": fields.max_output_tokens,
                "tracing": nullable(either(("auto",), mapping)),
                "truncation": fields.truncation,
                "prompt": nullable(mapping),
                "include": _INCLUDE,
                "reasoning": mapping,
                "parallel_tool_calls": boolean,
                "audio": section({"input": heard, "output": spoken}),
            }
        )

    def _turn_detection(self, current: Any, given: Any, path: str) -> Any:
        mapping(None, given, path)
        kind = given.get("type", current and current["type"])
        if kind is None:
            raise missing_parameter(f"{path}.type")
        answering = _ANSWERING if self._answers else {}
        defaults: dict[str, Any] = {"type": kind}
        if kind == "server_vad":
            rule = section({**_VAD, **(_IDLE if self._answers else {}), **answering})
            defaults |= {
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": self._silence_ms,
            }
            if self._answers:
                defaults["idle_timeout_ms"] = None
        elif kind == "semantic_vad":
            rule = section({"type": text, "eagerness": one_of(*EAGERNESS_MS), **answering})
            defaults["eagerness"] = "auto"
        else:
            raise unsupported_value(f"{path}.type", kind, ("server_vad", "semantic_vad"))
        if self._answers:
            defaults |= _ANSWERS
        same = current is not None and current["type"] == kind
        return rule(current if same else defaults, given, path)
