"""A protocol in a session that stands, without a network, and what a server says to it."""

from __future__ import annotations

import json
import logging
from typing import Any

from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from rtpipe import Event
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.events import AssistantTranscript

WANTED = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Answer in two words.",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}
LOG = logging.getLogger("rtpipe.stage.realtime")
CLIENT_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)


class Talk:
    """A protocol in a session that stands, and all that it has put out."""

    def __init__(self, *, given: bool = True, established: bool = True, **more: Any) -> None:
        self.protocol = RealtimeProtocol(WANTED, given=lambda: given, mask=str, log=LOG, **more)
        self.outputs: list[Any] = []
        if established:
            self.take(self.protocol.give_up_waiting())

    def take(self, outputs: list[Any]) -> list[Any]:
        for output in outputs:
            if isinstance(output, Command):  # whatever is sent must be what OpenAI accepts
                CLIENT_EVENT.validate_json(output.text(), strict=True)
                self.protocol.sent(output)
        self.outputs += outputs
        return outputs

    def hear(self, *events: dict[str, Any]) -> list[Any]:
        return [o for event in events for o in self.take(self.protocol.receive(json.dumps(event)))]

    def hear_all(self, sequence: list[dict[str, Any]]) -> None:
        self.hear(*(entry["event"] for entry in sequence if entry["dir"] == "server"))

    def commands(self) -> list[dict[str, Any]]:
        return [dict(output.data) for output in self.outputs if isinstance(output, Command)]

    def said(self, kind: type[Event] = AssistantTranscript) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]


def created(id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": id, **fields}}


def done(id: str, status: str = "completed", words: str | None = None) -> dict[str, Any]:
    content = [] if words is None else [{"type": "output_audio", "transcript": words}]
    output = [{"id": f"item_{id}", "role": "assistant", "content": content}] if content else []
    return {"type": "response.done", "response": {"id": id, "status": status, "output": output}}


def buffer(what: str, id: str) -> dict[str, Any]:
    return {"type": f"output_audio_buffer.{what}", "response_id": id}


def error(code: str, event_id: str | None = None) -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": "no", "event_id": event_id}}
