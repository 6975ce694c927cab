"""A pipeline at a broker: connected as long as it runs, and again after each outage."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from rtpipe import Backoff, EnvironmentProblem
from rtpipe_mqtt.broker import connected, tls_of
from rtpipe_mqtt.commands import Commands
from rtpipe_mqtt.events import MqttCommanded, MqttHidden, MqttShown
from rtpipe_mqtt.state import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiomqtt import Client

    from rtpipe import Event, Pipeline
    from rtpipe_mqtt.section import PresenceOptions

ONLINE, OFFLINE = b"online", b"offline"
_GATHERED_S = 0.2
"""So long what happens is gathered before the state is told again."""
_ANSWER_S = 10.0
_LEAVE_S = 2.0
_BACKOFF = Backoff(initial_s=1.0, max_s=30.0)


@asynccontextmanager
async def shown(
    pipeline: Pipeline,
    options: PresenceOptions,
    documents: Mapping[str, bytes] | None = None,
    *,
    source: str = "mqtt",
) -> AsyncIterator[None]:
    """Show `pipeline` at a broker while the block lasts.

    Args:
        pipeline: Which.
        options: Where, and what of it.
        documents: What else is kept there, by its topic.
        source: Who tells of it on the bus.
    """
    presence = Presence(pipeline, options, documents or {}, source)
    staying = asyncio.create_task(presence.stay(), name="mqtt")
    try:
        yield
    finally:
        await presence.leave(staying)


class Presence:
    """Keeps a pipeline's state at a broker, and takes commands from there.

    Args:
        pipeline: Which.
        options: Where, and what of it.
        documents: What else is kept there, by its topic.
        source: Who tells of it on the bus.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        options: PresenceOptions,
        documents: Mapping[str, bytes],
        source: str,
    ) -> None:
        self._pipeline = pipeline
        self._options = options
        self._documents = documents
        self._source = source
        self.topic = options.topic_for(pipeline.spec.name)
        self._commands = Commands(pipeline, self.topic)
        self._watch = Watch(pipeline, words=options.words)
        self._log = logging.getLogger(f"rtpipe.{source}")
        self._news = asyncio.Event()
        self._over = self._hidden = False
        self._told = b""
        self._unsubscribe = pipeline.bus.subscribe("*", self._hear)

    async def stay(self) -> None:
        """Be there, and come back after each outage, until `leave`."""
        await asyncio.to_thread(import_module, "aiomqtt")  # half a second on a small machine
        import aiomqtt

        will = aiomqtt.Will(f"{self.topic}/status", OFFLINE, qos=1, retain=True)
        failures = 0
        while not self._over:
            try:
                tls = await asyncio.to_thread(tls_of, self._options)
                reached = connected(
                    self._options, self._log, timeout_s=_ANSWER_S, tls=tls, will=will
                )
                async with reached as client:
                    failures = 0
                    await self._serve(client)
            except (aiomqtt.MqttError, EnvironmentProblem, OSError) as error:
                self._tell_hidden(f"{error.__cause__ or error}")
                await self._wait(_BACKOFF.pause_s(failures))
                failures += 1

    async def leave(self, staying: asyncio.Task[None]) -> None:
        """Say goodbye, if that can be done at once."""
        self._over = True
        self._news.set()
        self._unsubscribe()
        await asyncio.wait({staying}, timeout=_LEAVE_S)
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)

    async def _serve(self, client: Client) -> None:
        """Tell the state as it changes and carry out commands, until either is over."""
        if self._options.commands:
            for topic in self._commands.topics:
                await client.subscribe(topic, qos=1)
        for topic, document in self._documents.items():
            await client.publish(topic, document, qos=1, retain=True)
        self._told = b""
        await self._publish_state(client)
        await client.publish(f"{self.topic}/status", ONLINE, qos=1, retain=True)
        self._hidden = False
        self._publish(MqttShown(host=self._options.host, topic=self.topic))
        tasks = [
            asyncio.create_task(self._listen(client)),
            asyncio.create_task(self._tell(client)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, client: Client) -> None:
        while not self._over:
            await self._news.wait()
            if not self._over:
                await asyncio.sleep(_GATHERED_S)
            self._news.clear()
            await self._publish_state(client)
        await client.publish(f"{self.topic}/status", OFFLINE, qos=1, retain=True)

    async def _listen(self, client: Client) -> None:
        """Carry out what comes; without commands only notice that the connection broke."""
        async for message in client.messages:
            done = self._commands.carry_out(message)
            self._publish(MqttCommanded(action=done.action, error=done.error))
            await client.publish(f"{self.topic}/done", done.as_json(), qos=1)

    async def _publish_state(self, client: Client) -> None:
        state = json.dumps(self._watch.state(), ensure_ascii=False).encode()
        if state != self._told:
            await client.publish(f"{self.topic}/state", state, qos=1, retain=True)
            self._told = state

    def _hear(self, event: Event) -> None:
        self._watch.take(event)
        self._news.set()

    async def _wait(self, seconds: float) -> None:
        """Wait, unless it is over before."""
        until = asyncio.get_running_loop().time() + seconds
        while not self._over and asyncio.get_running_loop().time() < until:
            self._news.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return

    def _tell_hidden(self, reason: str) -> None:
        """Tell of an outage, once."""
        if not self._hidden and not self._over:
            self._hidden = True
            said = self._pipeline.spec.masked(reason)
            self._publish(MqttHidden(host=self._options.host, reason=said))

    def _publish(self, event: Event) -> None:
        bus = self._pipeline.bus
        bus.publish(replace(event, source=self._source, at=self._pipeline.clock.now()))
