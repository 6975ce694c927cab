"""The session object of a call: defaults, `session.update`, and the shape that clients read.

Accepted and echoed, without effect here: noise_reduction, speed, truncation, tracing, prompt.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.session import fields
from rtpipe_realtime_server.session.grammar import mapping
from rtpipe_realtime_server.session.rejection import (
    Rejected,
    missing_parameter,
    unsupported_value,
    wrong_type,
)
from rtpipe_realtime_server.session.shape import EAGERNESS_MS, SessionShape

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODEL = "gpt-realtime-2.1"
SESSION_SECONDS = 3600
_MOST_BYTES = 256 * 1024
"""Four times what OpenAI's 16,384 tokens of instructions and tools take. It is echoed, and kept in
every client secret."""


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
        kind = given.get("type", "realtime")
        if kind not in ("realtime", "transcription"):
            raise unsupported_value("session.type", kind, ("realtime", "transcription"))
        self.answers: bool = kind == "realtime"
        """Whether there are responses; a transcription session has none."""
        self._own_format: dict[str, Any] | None = None
        shape = SessionShape(kind, model)
        self._rule = shape.rule
        self.effective = shape.fresh(session_id, expires_at)
        self.update(given)

    def update(self, given: Any, *, begun: bool = False, spoke: bool = False) -> None:
        """Merge `given` into the session, all of it or nothing.

        Args:
            given: The `session` object of a client's request.
            begun: The session has begun, so tracing that is on stays as it is.
            spoke: The assistant has spoken, so its voice is fixed.

        Raises:
            Rejected: Nothing was changed.
        """
        changed = self._formatted(self._merged(given))
        if spoke and changed["audio"]["output"]["voice"] != self.voice:
            raise fields.voice_locked("session.audio.output.voice")
        tracing = self.effective.get("tracing")
        if begun and tracing is not None and changed["tracing"] != tracing:
            raise Rejected(
                "Cannot update a session's tracing once it is enabled.", param="session.tracing"
            )
        self.effective = changed

    def keep_format(self, audio_format: dict[str, Any]) -> None:
        """Have the audio of events in this format, whatever a client asks for; a fault."""
        self._own_format = audio_format
        self.effective = self._formatted(self.effective)

    def _formatted(self, settings: dict[str, Any]) -> dict[str, Any]:
        if self._own_format is None:
            return settings
        kept = {"format": dict(self._own_format)}
        parts = {side: {**part, **kept} for side, part in settings["audio"].items()}
        return {**settings, "audio": parts}

    def _merged(self, given: Any) -> dict[str, Any]:
        mapping(None, given, "session")
        if "type" not in given:
            raise missing_parameter("session.type")
        changed: dict[str, Any] = self._rule(self.effective, given, "session")
        for key in ("reasoning", "parallel_tool_calls"):
            changed.pop(key, None)  # accepted from every client, echoed by no recorded session
        if len(json.dumps(changed)) > _MOST_BYTES:
            raise Rejected(
                f"The session is longer than {_MOST_BYTES} bytes.",
                code="string_above_max_length",
                param="session",
            )
        return changed

    def snapshot(self) -> dict[str, Any]:
        """Return the effective session object, to be sent."""
        return copy.deepcopy(self.effective)

    @property
    def id(self) -> str:
        """The session's id."""
        return str(self.effective["id"])

    @property
    def input_format(self) -> dict[str, Any]:
        """The format of the audio in a client's events."""
        given: dict[str, Any] = self.effective["audio"]["input"]["format"]
        return given

    @property
    def mcp_servers(self) -> list[str]:
        """The labels of the MCP servers among its tools."""
        tools = self.effective.get("tools", ())
        return [str(tool["server_label"]) for tool in tools if tool["type"] == "mcp"]

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
            threshold=given.get("threshold", 0.5),
            prefix_padding_ms=given.get("prefix_padding_ms", 300),
            silence_duration_ms=(
                EAGERNESS_MS[given["eagerness"]] if semantic else given["silence_duration_ms"]
            ),
            idle_timeout_ms=given.get("idle_timeout_ms"),
            create_response=given.get("create_response", False),
            interrupt_response=given.get("interrupt_response", False),
        )
