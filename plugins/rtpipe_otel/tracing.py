"""Tracing of a running pipeline: it hears the events, makes spans of them and has them sent."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import rtpipe
from rtpipe import EnvironmentProblem
from rtpipe_otel.conversations import MATCH, Conversation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe import Event, Pipeline
    from rtpipe_otel.section import OtelOptions
    from rtpipe_otel.sender import Sender
    from rtpipe_otel.spans import Attributes, Moment, Span, Value

_LOOK_S = 1.0
_MOST_PEERS = 32
_LONGEST_TEXT = 32_768


@asynccontextmanager
async def traced(pipeline: Pipeline, options: OtelOptions) -> AsyncIterator[None]:
    """Send traces of what happens in `pipeline` while the block lasts.

    Raises:
        EnvironmentProblem: What a trace is written with is not installed, or `ca` is none.
    """
    if not _is_installed():
        raise EnvironmentProblem(
            "no traces are sent: opentelemetry-proto is not installed: "
            "pip install 'rtpipe-media[otel]'"
        )
    # In a thread: what it imports takes a while.
    module = await asyncio.to_thread(import_module, "rtpipe_otel.sender")

    def tell(event: Event) -> None:
        pipeline.bus.publish(replace(event, source="otel", at=pipeline.clock.now()))

    installed = rtpipe.__version__
    sender: Sender = module.Sender(
        options, _resource(pipeline, options, installed), installed, tell
    )
    tracing = Tracing(pipeline, options, sender)
    unsubscribe = pipeline.bus.subscribe(MATCH, tracing.take)
    looking = asyncio.create_task(tracing.look_again_and_again(), name="otel conversations")
    try:
        yield
    finally:
        looking.cancel()
        unsubscribe()
        with suppress(asyncio.CancelledError):
            await looking
        tracing.end()
        await sender.close()


class Tracing:
    """The conversations of a pipeline.

    Args:
        pipeline: Whose.
        options: What may be told, and when a conversation is over.
        sender: Takes the spans.
    """

    def __init__(self, pipeline: Pipeline, options: OtelOptions, sender: Sender) -> None:
        self._pipeline, self._options, self._sender = pipeline, options, sender
        self._conversations: dict[str, Conversation] = {}

    def take(self, event: Event) -> None:
        """Take an event that tells of a conversation."""
        held = self._conversations.get(event.source)
        if held is None:
            if len(self._conversations) >= _MOST_PEERS:
                return
            held = self._conversations[event.source] = Conversation(
                event.source,
                self._pipeline.spec.name,
                self._send,
                lambda: time.time() - self._pipeline.clock.now(),
                words=self._options.words,
            )
        held.take(event)

    async def look_again_and_again(self) -> None:
        """Send what is complete, once a second."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now = self._pipeline.clock.now()
            for each in self._conversations.values():
                each.look(now, self._options.idle_s)

    def end(self) -> None:
        """Every conversation is over."""
        for each in self._conversations.values():
            each.end()

    def _send(self, span: Span) -> None:
        span.name = self._fit(span.name)
        span.attributes = self._masked(span.attributes)
        span.moments = [self._masked_moment(each) for each in span.moments]
        span.error = self._fit(span.error)
        self._sender.put(span)

    def _masked_moment(self, moment: Moment) -> Moment:
        return replace(moment, attributes=self._masked(moment.attributes))

    def _masked(self, attributes: Attributes) -> Attributes:
        return {name: self._value(value) for name, value in attributes.items()}

    def _value(self, value: Value) -> Value:
        return self._fit(value) if isinstance(value, str) else value

    def _fit(self, text: str) -> str:
        return self._pipeline.spec.masked(text)[:_LONGEST_TEXT]


def _resource(pipeline: Pipeline, options: OtelOptions, installed: str) -> Attributes:
    return {
        "service.name": options.service,
        "service.version": installed,
        "service.instance.id": f"{socket.gethostname()}/{pipeline.spec.name}",
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "rtpipe.pipeline": pipeline.spec.name,
        **options.attributes,
    }


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.proto.collector.trace.v1") is not None
    except ModuleNotFoundError:
        return False
