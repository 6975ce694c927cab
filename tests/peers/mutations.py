"""Ways to break the server on purpose: a judge counts only if it notices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from rtpipe_realtime_server.calls.http import Api
from rtpipe_realtime_server.talk.outputs import OutputList

Event = dict[str, Any]
Mutation = Callable[[Event], list[Event]]
"""Takes each event before it is sent and gives what is sent in its place."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Spoil = Callable[[web.Request, web.StreamResponse], web.StreamResponse]
"""Takes each HTTP answer and gives what is answered instead."""

_TRANSCRIPT = "response.output_audio_transcript"


def lacking(kind: str, *path: str) -> Callable[[], Mutation]:
    """Take the key at `path` out of the events of a type."""

    def mutate(event: Event) -> list[Event]:
        if event["type"] == kind:
            *parents, key = path
            inner = event
            for name in parents:
                inner = inner[name]
            inner.pop(key, None)
        return [event]

    return lambda: mutate


def having(kind: str, value: Any, *path: str) -> Callable[[], Mutation]:
    """Put `value` at `path` in the events of a type that have something there."""

    def mutate(event: Event) -> list[Event]:
        if event["type"] == kind:
            *parents, key = path
            inner = event
            for name in parents:
                inner = inner[name]
            if key in inner:
                inner[key] = value
        return [event]

    return lambda: mutate


def without(kind: str) -> Callable[[], Mutation]:
    """Send no event of a type."""
    return lambda: lambda event: [] if event["type"] == kind else [event]


def twice(kind: str) -> Callable[[], Mutation]:
    """Send the events of a type twice."""
    return lambda: lambda event: [event, event] if event["type"] == kind else [event]


def once_missing(kind: str) -> Callable[[], Mutation]:
    """Leave out the first event of a type."""

    def make() -> Mutation:
        left = [1]

        def mutate(event: Event) -> list[Event]:
            if event["type"] == kind and left:
                left.pop()
                return []
            return [event]

        return mutate

    return make


def after(late: str, other: str) -> Callable[[], Mutation]:
    """Hold the events of type `late` back until one of type `other` was sent."""

    def make() -> Mutation:
        held: list[Event] = []

        def mutate(event: Event) -> list[Event]:
            if event["type"] == late:
                held.append(event)
                return []
            if event["type"] == other:
                sent = [event, *held]
                held.clear()
                return sent
            return [event]

        return mutate

    return make


def _beta(event: Event) -> list[Event]:
    event["type"] = event["type"].replace("response.output_audio", "response.audio")
    return [event]


EVENTS: dict[str, Callable[[], Mutation]] = {
    "no response_id": lacking(f"{_TRANSCRIPT}.delta", "response_id"),
    "no response_id when it is played": lacking("output_audio_buffer.started", "response_id"),
    "no event_id": lacking("response.created", "event_id"),
    "no usage": lacking("response.done", "response", "usage"),
    "no usage of a transcription": lacking(
        "conversation.item.input_audio_transcription.completed", "usage"
    ),
    "no item": lacking("conversation.item.done", "item"),
    "no code": lacking("error", "error", "code"),
    "no tools": lacking("session.updated", "session", "tools"),
    "beta names": lambda: _beta,
    "a part is output_audio": having("response.content_part.added", "output_audio", "part", "type"),
    "a number is text": having("input_audio_buffer.speech_started", "32", "audio_start_ms"),
    "an extra key": lambda: lambda event: [{**event, "x": 1}],
    "the same id always": lambda: lambda event: [{**event, "event_id": "event_1"}],
    "session.created twice": twice("session.created"),
    "session.created late": after("session.created", "input_audio_buffer.speech_started"),
    "no session.updated": without("session.updated"),
    "no response.created": without("response.created"),
    "no response.done": without("response.done"),
    "no stopped": without("output_audio_buffer.stopped"),
    "no truncated": without("conversation.item.truncated"),
    "no item added": without("conversation.item.added"),
    "a delta is lost": once_missing(f"{_TRANSCRIPT}.delta"),
    "the part before its item": after("response.output_item.added", "response.content_part.added"),
    "the item before the turn": after("input_audio_buffer.committed", "conversation.item.done"),
    "done before its output": after("response.output_item.done", "response.done"),
    "done before the words": after(f"{_TRANSCRIPT}.done", "response.content_part.done"),
    "stopped before done": after("response.done", "output_audio_buffer.stopped"),
    "created is completed": having("response.created", "completed", "response", "status"),
    "an item never ends": having("response.output_item.done", "in_progress", "item", "status"),
    "another turn ends": having("input_audio_buffer.speech_stopped", "item_x", "item_id"),
    "another call's arguments": having(
        "response.function_call_arguments.done", "call_x", "call_id"
    ),
    "another call": having("response.output_item.done", "call_x", "item", "call_id"),
}
"""Each makes a fresh mutation of the events that the server sends."""


def _status(path: str, status: int) -> Spoil:
    def spoil(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if request.path.endswith(path) and response.status < 400:
            response.set_status(status)
        return response

    return spoil


def _header_lost(name: str) -> Spoil:
    def spoil(_request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        response.headers.popall(name, None)
        return response

    return spoil


def _no_envelope(_request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    return web.Response(status=response.status, text="no") if response.status > 399 else response


def _always_found(_request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    return web.Response() if response.status == 404 else response


def _always_400(_request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if response.status > 399:
        response.set_status(400)
    return response


ANSWERS: dict[str, Spoil] = {
    "a call is 200": _status("/calls", 200),
    "a hang-up is 202": _status("/hangup", 202),
    "no Location": _header_lost("Location"),
    "no CORS": _header_lost("Access-Control-Allow-Origin"),
    "an error without its envelope": _no_envelope,
    "a call is never unknown": _always_found,
    "every error is 400": _always_400,
}
"""Ways to spoil the HTTP answers."""


def break_events(patch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """Have every call of this process send mutated events."""
    take = OutputList.take

    def mutated(outbox: OutputList) -> list[Any]:
        outputs: list[Any] = []
        for output in take(outbox):
            outputs += mutation(output) if isinstance(output, dict) else [output]
        return outputs

    patch.setattr(OutputList, "take", mutated)


def break_answers(patch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    """Have every server that starts from now on spoil its answers."""
    make = Api.app

    @web.middleware
    async def spoiled(request: web.Request, handler: Handler) -> web.StreamResponse:
        return spoil(request, await handler(request))

    def app(api: Api) -> web.Application:
        made = make(api)
        made.middlewares.insert(0, spoiled)
        return made

    patch.setattr(Api, "app", app)
