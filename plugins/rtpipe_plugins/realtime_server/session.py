"""The session object of a call: defaults, `session.update`, and the shape that clients read.

Accepted and echoed, without effect here: noise_reduction, speed, tools (the brain calls none),
max_output_tokens, truncation, tracing, prompt and the formats (the wire is Opus).
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.realtime_server import fields
from rtpipe_plugins.realtime_server.grammar import (
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
from rtpipe_plugins.realtime_server.rejection import (
    missing_parameter,
    unsupported_value,
    wrong_type,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODEL = "gpt-realtime-2.1"
SESSION_SECONDS = 3600

_INSTRUCTIONS = "You are a helpful assistant. Answer in one or two short sentences."
_FIRST_GENERATION = re.compile(r"gpt-realtime(-2025-\d\d-\d\d)?")
_EAGERNESS_MS = {"low": 2000, "medium": 1000, "auto": 1000, "high": 600}
"""OpenAI documents 8, 4 and 2 s as the longest waits of a model that knows when a sentence is
complete. We have no such model: these are its ordinary waits."""

_EITHER_TURN: dict[str, Rule] = {"create_response": boolean, "interrupt_response": boolean}
_SERVER_VAD = section(
    {
        "type": text,
        "threshold": number(0, 1),
        "prefix_padding_ms": number(0, whole=True),
        "silence_duration_ms": number(0, whole=True),
        "idle_timeout_ms": nullable(number(5000, 30000, whole=True)),
        **_EITHER_TURN,
    }
)
_SEMANTIC_VAD = section({"type": text, "eagerness": one_of(*_EAGERNESS_MS), **_EITHER_TURN})


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """How the server tells a visitor's turns apart."""

    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    idle_timeout_ms: int | None
    create_response: bool
    interrupt_response: bool


class Session:
    """The effective settings of one call.

    Args:
        given: What the client asked for when it made the call, or the secret; `model` may be left
            out.
        session_id: The new session's id.
        expires_at: Unix seconds; 0 in a client secret.

    Raises:
        Rejected: A parameter is unknown or its value not allowed.
    """

    def __init__(self, given: Mapping[str, Any], *, session_id: str, expires_at: int) -> None:
        model = given.get("model", DEFAULT_MODEL)
        if not isinstance(model, str) or not model:
            raise wrong_type("session.model", "a non-empty string", model)
        first = _FIRST_GENERATION.fullmatch(model) is not None
        self._silence_ms = 200 if first else 500
        self._rule = self._grammar()
        self.effective: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
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
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": self._turn_detection(None, {"type": "server_vad"}, ""),
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "voice": "alloy" if first else "marin",
                    "speed": 1.0,
                },
            },
            "include": None,
        }
        self.update(given)

    def update(self, given: Any, *, spoke: bool = False) -> None:
        """Merge `given` into the session, all of it or nothing.

        Args:
            given: The `session` object of a client's request.
            spoke: The assistant has spoken, so its voice is fixed.

        Raises:
            Rejected: Nothing was changed.
        """
        mapping(None, given, "session")
        if "type" not in given:
            raise missing_parameter("session.type")
        changed = self._rule(self.effective, given, "session")
        for key in ("reasoning", "parallel_tool_calls"):
            changed.pop(key, None)  # accepted from every client, echoed by no recorded session
        if spoke and changed["audio"]["output"]["voice"] != self.voice:
            raise fields.voice_locked("session.audio.output.voice")
        self.effective = changed

    def snapshot(self) -> dict[str, Any]:
        """Return the effective session object, to be sent."""
        return copy.deepcopy(self.effective)

    @property
    def instructions(self) -> str:
        """What the brain is told to be."""
        return str(self.effective["instructions"])

    @property
    def voice(self) -> Any:
        """Name of the voice, or `{"id": …}` of a custom one."""
        return self.effective["audio"]["output"]["voice"]

    @property
    def transcribes(self) -> bool:
        """Whether the client asked for the visitor's words."""
        return self.effective["audio"]["input"]["transcription"] is not None

    @property
    def turn_detection(self) -> TurnDetection | None:
        """The settings of turn detection, None when the client ends turns itself."""
        given = self.effective["audio"]["input"]["turn_detection"]
        if given is None:
            return None
        semantic = given["type"] == "semantic_vad"
        return TurnDetection(
            threshold=0.5 if semantic else given["threshold"],
            prefix_padding_ms=300 if semantic else given["prefix_padding_ms"],
            silence_duration_ms=(
                _EAGERNESS_MS[given["eagerness"]] if semantic else given["silence_duration_ms"]
            ),
            idle_timeout_ms=None if semantic else given["idle_timeout_ms"],
            create_response=given["create_response"],
            interrupt_response=given["interrupt_response"],
        )

    def _grammar(self) -> Rule:
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
                "include": nullable(array(one_of("item.input_audio_transcription.logprobs"))),
                "reasoning": mapping,
                "parallel_tool_calls": boolean,
                "audio": section(
                    {
                        "input": section(
                            {
                                "format": fields.audio_format,
                                "transcription": nullable(fields.transcription),
                                "noise_reduction": nullable(fields.noise_reduction),
                                "turn_detection": nullable(self._turn_detection),
                            }
                        ),
                        "output": section(
                            {
                                "format": fields.audio_format,
                                "voice": fields.voice,
                                "speed": number(0.25, 1.5),
                            }
                        ),
                    }
                ),
            }
        )

    def _turn_detection(self, current: Any, given: Any, path: str) -> Any:
        mapping(None, given, path)
        kind = given.get("type", current and current["type"])
        if kind is None:
            raise missing_parameter(f"{path}.type")
        defaults: dict[str, Any] = {"create_response": True, "interrupt_response": True}
        if kind == "server_vad":
            rule = _SERVER_VAD
            defaults = {
                "type": kind,
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": self._silence_ms,
                "idle_timeout_ms": None,
                **defaults,
            }
        elif kind == "semantic_vad":
            rule = _SEMANTIC_VAD
            defaults = {"type": kind, "eagerness": "auto", **defaults}
        else:
            raise unsupported_value(f"{path}.type", kind, ("server_vad", "semantic_vad"))
        same = current is not None and current["type"] == kind
        return rule(current if same else defaults, given, path)
