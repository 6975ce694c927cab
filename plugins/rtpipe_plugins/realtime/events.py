"""What the Realtime peer says on the bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Event

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class ServerEvent(Event):
    """An event of the server under its own name, its payload untouched.

    Attributes:
        data: The event's JSON object.
    """

    data: Mapping[str, Any]

    def payload(self) -> Mapping[str, Any]:
        """Return the server's JSON object."""
        return self.data


@dataclass(frozen=True, kw_only=True)
class RealtimeConnected(Event):
    """The call stands and the session is the one that was asked for."""

    type: str = "realtime.connected"
    call_id: str | None
    provider: str
    model: str
    host: str


@dataclass(frozen=True, kw_only=True)
class RealtimeDisconnected(Event):
    """The call is over."""

    type: str = "realtime.disconnected"
    reason: str


@dataclass(frozen=True, kw_only=True)
class UserTranscript(Event):
    """What the visitor said in one turn, or typed."""

    type: str = "transcript.user"
    text: str
    item_id: str


@dataclass(frozen=True, kw_only=True)
class AssistantTranscript(Event):
    """What the model said; published when its sound has been played or was cut off.

    Attributes:
        text: All that was generated, heard or not.
        interrupted: Whether it was cut off.
    """

    type: str = "transcript.assistant"
    text: str
    item_id: str
    response_id: str
    interrupted: bool


SERVER_EVENTS = (
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.deleted",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.input_audio_transcription.segment",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "error",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "input_audio_buffer.dtmf_event_received",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "output_audio_buffer.cleared",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "rate_limits.updated",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "session.created",
    "session.updated",
)
"""The server's vocabulary as OpenAI documents it; names beyond it are published as they come."""
