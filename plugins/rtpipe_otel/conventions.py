"""What OpenTelemetry calls things: the one place that knows a name of the `gen_ai` conventions.

They are in development (github.com/open-telemetry/semantic-conventions-genai). Here are names that
are merged there; what they have none for is called `rtpipe.*`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_otel.spans import Attributes

_PROVIDERS = {"azure": "azure.ai.openai"}
"""Ours that the conventions call otherwise; `openai` is the same, `embedded` is a name of ours."""
_FINISHED = {"max_output_tokens": "length", "content_filter": "content_filter"}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
}


def model_of(connected: Mapping[str, Any]) -> Attributes:
    """Return whose model speaks, by a `realtime.connected`."""
    found: Attributes = {}
    provider = str(connected.get("provider") or "")
    if provider:
        found["gen_ai.provider.name"] = _PROVIDERS.get(provider, provider)
    if connected.get("model"):
        found["gen_ai.request.model"] = str(connected["model"])
    return found


def server_of(connected: Mapping[str, Any]) -> Attributes:
    """Return where it is."""
    host, _, port = str(connected.get("host") or "").rpartition(":")
    if host and port.isdecimal():
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"server.address": str(connected["host"])} if connected.get("host") else {}


def conversation(id: str) -> Attributes:
    """Return what a conversation is called, where it has a name."""
    return {"gen_ai.conversation.id": id} if id else {}


def turn(agent: str) -> tuple[str, Attributes]:
    """Return the name and the attributes of a turn's span."""
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agent,
        "gen_ai.output.type": "speech",
    }
    return f"invoke_agent {agent}", attributes


def answer(model: str, response_id: str) -> tuple[str, Attributes]:
    """Return the name and the attributes of a span in which the model answers."""
    attributes: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.output.type": "speech"}
    if response_id:
        attributes["gen_ai.response.id"] = response_id
    return f"chat {model}".rstrip(), attributes


def usage(tokens_used: Mapping[str, Any]) -> Attributes:
    """Return what an answer cost, by a `realtime.tokens_used`."""
    counts = {name: tokens_used.get(field) for field, name in _USAGE.items()}
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def finished(reason: str) -> Attributes:
    """Return why the model stopped: `stop`, `tool_call`, or what the server says."""
    return {"gen_ai.response.finish_reasons": (_FINISHED.get(reason, reason),)}


def tool(name: str, call_id: str) -> tuple[str, Attributes]:
    """Return the name and the attributes of a span in which a function runs."""
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.type": "function",
    }
    return f"execute_tool {name}", attributes


def said(visitor: str, model: str, reason: str) -> Attributes:
    """Return the words of a turn, as messages."""
    found: Attributes = {}
    if visitor:
        found["gen_ai.input.messages"] = _messages({"role": "user", "parts": _text(visitor)})
    if model:
        message = {"role": "assistant", "parts": _text(model), "finish_reason": reason}
        found["gen_ai.output.messages"] = _messages(message)
    return found


def given(arguments: Any) -> Attributes:
    """Return what a function was given."""
    return {"gen_ai.tool.call.arguments": _json(arguments)}


def returned(output: Any) -> Attributes:
    """Return what a function has returned."""
    return {"gen_ai.tool.call.result": output if isinstance(output, str) else _json(output)}


def _text(words: str) -> list[dict[str, str]]:
    return [{"type": "text", "content": words}]


def _messages(message: Mapping[str, Any]) -> str:
    return _json([message])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
