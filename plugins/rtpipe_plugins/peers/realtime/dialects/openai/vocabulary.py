"""The names of the server's events, and how important each is to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import Pattern
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, text_of
from rtpipe_plugins.peers.realtime.events import ServerDetail, ServerEvent, ServerFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

ALREADY_ACTIVE = "conversation_already_has_active_response"
BENIGN_CODES = {
    ALREADY_ACTIVE,
    "response_cancel_not_active",
    "input_audio_buffer_commit_empty",
    "item_truncate_invalid_item_id",
}
"""Errors that are races, which everybody loses now and then."""
_FAILURES = Pattern(("error", "*.failed"))
_TOLD = Pattern(("mcp_list_tools.*", "response.mcp_call.*"))
"""What events of ours tell in words."""
_DETAILS = Pattern(("*.delta", "rate_limits.updated", "conversation.*", "response.*.*"))

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
"""The server's vocabulary as OpenAI documents it."""

SERVER_NAMESPACES = {type.partition(".")[0] for type in SERVER_EVENTS} | {"transcription_session"}
"""Where a server has a say, the beta's `transcription_session` included. What OpenAI adds there is
published as it comes; an event of another namespace would pass for one of ours on the bus."""


def server_event(data: Mapping[str, Any], usable: Mapping[str, Any] | None = None) -> ServerEvent:
    """Return an event of the server, as important as it is to a person.

    Args:
        data: Its JSON object, with a `type`.
        usable: The same without what cannot be used; None: nobody has looked.
    """
    name = data["type"]
    benign = text_of(object_of(data if usable is None else usable, "error"), "code") in BENIGN_CODES
    kind = ServerDetail if benign else _class_of(name)
    return kind(type=name, data=data, usable=usable)


def _class_of(name: str) -> type[ServerEvent]:
    if _FAILURES.matches(name) and not _TOLD.matches(name):
        return ServerFailure
    return ServerDetail if _TOLD.matches(name) or _DETAILS.matches(name) else ServerEvent


def _documented(name: str) -> type[ServerEvent]:
    """Return a class that stands for a documented event where a stage says what it publishes."""
    return type(name, (_class_of(name),), {"type": name, "__doc__": ""})


SERVER_EVENT_TYPES = tuple(map(_documented, SERVER_EVENTS))
"""`SERVER_EVENTS` as classes, for `Stage.publishes`."""
