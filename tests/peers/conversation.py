"""A conversation with everything in it, held with the protocol alone: no clock, no network."""

from __future__ import annotations

from typing import Any

from realtime_server.bench import Bench
from rtpipe_realtime_server.talk.brain import FunctionCall
from rtpipe_realtime_server.talk.outputs import Transcribe

UPDATES = 2
_TOOL = {
    "type": "function",
    "name": "lamp",
    "description": "Switches the lamp.",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}},
}
_MCP = {"type": "mcp", "server_label": "museum", "server_url": "https://mcp.museum.example"}
_IDLE = {"type": "server_vad", "idle_timeout_ms": 5000}


class _Recording(Bench):
    """Keeps the events, unjudged."""

    def collect(self) -> None:
        for output in self.protocol.take():
            if isinstance(output, dict):
                self.events.append(output)
            else:
                self.commands.append(output)


def converse() -> list[dict[str, Any]]:
    """Return the events of turns of every kind: each event that a call can receive is in it."""
    call = _Recording(audio={"input": {"transcription": {"model": "whisper-1"}}})
    call.update(tools=[_TOOL, _MCP])
    call.say()
    call.think()
    call.tick(200)
    _write(call)
    _interrupt(call)
    _lend_a_tool(call)
    _mishear_and_err(call)
    return call.events


def _write(call: Bench) -> None:
    content = [{"type": "input_text", "text": "Hi"}]
    item = {"type": "message", "role": "user", "content": content}
    call.send("conversation.item.create", item=item)
    call.send("response.create", response={"output_modalities": ["text"]})
    call.think(answer="Hello there.")
    call.tick(20)


def _interrupt(call: Bench) -> None:
    call.say()
    call.think(seconds=20.0)
    call.tick(60)
    call.say()


def _lend_a_tool(call: Bench) -> None:
    call.think(answer="", calls=(FunctionCall("lamp", {"on": True}),))
    call.tick(20)
    (asked,) = call.all("response.function_call_arguments.done")
    output = {"type": "function_call_output", "call_id": asked["call_id"], "output": "on"}
    call.send("conversation.item.create", item=output)
    call.send("response.create")
    call.think(answer="It is on.")
    call.tick(200)


def _mishear_and_err(call: Bench) -> None:
    call.hear(20, speech=True)
    call.send("input_audio_buffer.clear")
    call.say()
    for command in call.commands:
        if isinstance(command, Transcribe):
            call.protocol.transcription_failed(command.item_id)
    call.collect()
    call.think()
    call.tick(200)
    item_id = call.all("response.output_item.done")[-1]["item"]["id"]
    call.send("conversation.item.retrieve", item_id=item_id)
    call.send("conversation.item.delete", item_id=item_id)
    call.send("response.cancel")
    call.update(audio={"input": {"turn_detection": _IDLE}})
    call.hear(200, speech=False)
    call.think()
    call.tick(200)
