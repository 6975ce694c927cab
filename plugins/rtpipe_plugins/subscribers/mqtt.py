"""`mqtt`: events as messages of an MQTT broker."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator

from rtpipe import Specimen
from rtpipe.events import SubscriberOverflowed
from rtpipe.examination import missing_file
from rtpipe_mqtt.broker import BrokerOptions, connected, tls_of
from rtpipe_plugins.subscribers.delivery.worker import (
    Connected,
    Delivery,
    DeliveryOptions,
    Disconnected,
    Failed,
    OutboxDamaged,
    Refused,
    TryLater,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from aiomqtt import Client

    from rtpipe import Finding
    from rtpipe_plugins.subscribers.delivery.outbox import Message
    from rtpipe_plugins.subscribers.delivery.worker import Send

_NOT_IN_A_TOPIC = re.compile("[+#\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""Wildcards, and the characters at which a broker may close the connection (MQTT 1.5.4)."""
_STANDS_S = 0.5


def _topic(text: str) -> str:
    if not text or set(text) & set("+#\0"):
        raise ValueError("a topic to publish to is not empty and holds no + or #")
    return text


class MqttOptions(BrokerOptions, DeliveryOptions):
    """Publish each event to an MQTT broker."""

    main: ClassVar[str | None] = "topic"

    topic: Annotated[str, AfterValidator(_topic)]
    """Where; `{type}` stands for the event's type: `desk/{type}`."""
    qos: Literal[0, 1, 2] = 1
    """1: each event arrives at least once. 0: what is under way when the connection breaks is lost.
    2: the broker takes each once, but one whose confirmation was lost is sent again."""
    retain: bool = False
    """Whether the broker keeps the last event of each topic for those who come later."""


@dataclass(frozen=True, kw_only=True)
class MqttConnected(Connected):
    """The broker is there (again)."""

    type: str = "mqtt.connected"


@dataclass(frozen=True, kw_only=True)
class MqttDisconnected(Disconnected):
    """The broker is away or refuses us; events wait, and are tried again."""

    type: str = "mqtt.disconnected"


@dataclass(frozen=True, kw_only=True)
class MqttFailed(Failed):
    """The broker takes an event never; it was set aside, and the next one is sent."""

    type: str = "mqtt.failed"


class Mqtt(Delivery[MqttOptions]):
    """Publishes each event as JSON, in order, until the broker has confirmed it.

    At least once, that is: where the connection broke between an event and its confirmation, the
    event is published again. One at which the broker closes the connection three times, because it
    is larger than what the broker takes, is set aside and told as `mqtt.failed`.

    - match: transcript.*
      mqtt: {topic: "desk/{type}", host: broker.example}
    """

    kind = "mqtt"
    external = True
    publishes = (MqttConnected, MqttDisconnected, MqttFailed, OutboxDamaged, SubscriberOverflowed)
    connected = MqttConnected
    disconnected = MqttDisconnected
    failed = MqttFailed
    _tls: ssl.SSLContext | None = None

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a broker that is not there: events wait for it."""
        yield Specimen({"topic": "desk", "host": "127.0.0.1", "port": 9}, real_time=True)

    @classmethod
    def examine(cls, options: MqttOptions) -> Iterable[Finding]:
        """Look for the certificates."""
        ca_file = options.ca_file
        return () if ca_file is None else missing_file(ca_file, "ca_file", status="missing")

    @property
    def host(self) -> str:
        """The broker."""
        return self.options.host

    async def open(self) -> None:
        """Open the outbox and begin to connect; the broker need not be there.

        Raises:
            EnvironmentProblem: The outbox's file or `ca_file` cannot be used.
        """
        self._tls = tls_of(self.options)
        await super().open()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Send]:
        """Connect to the broker."""
        import aiomqtt

        timeout_s = self.options.timeout_s
        try:
            async with connected(
                self.options, self.ctx.log, timeout_s=timeout_s, tls=self._tls
            ) as client:
                self.reached()
                watch = asyncio.create_task(self._watch(client))
                try:
                    yield partial(self._send, client, watch)
                finally:
                    watch.cancel()
        except aiomqtt.MqttError as error:
            raise TryLater(f"{error}") from None

    async def _watch(self, client: Client) -> str:
        """Wait until the connection breaks; returns why. While idle nobody else looks."""
        from aiomqtt import MqttError

        reason = ""
        try:
            async for _ in client.messages:
                pass
        except MqttError as error:
            reason = f"{error.__cause__ or error}"
        self.broken(reason)
        return reason

    async def _send(self, client: Client, watch: asyncio.Task[str], message: Message) -> None:
        if self.suspects(message):
            # Would the connection stand without it? A broker may close any, whatever is sent.
            await asyncio.wait({watch}, timeout=_STANDS_S)
            if watch.done():
                raise TryLater(watch.result())
        options = self.options
        topic = options.topic.replace("{type}", _NOT_IN_A_TOPIC.sub("_", message.type))
        publishing = asyncio.ensure_future(
            client.publish(topic, message.body.encode(), options.qos, options.retain)
        )
        try:
            await asyncio.wait({publishing, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                raise TryLater(watch.result(), suspect=True)
            await publishing
        except ValueError as error:  # paho's: beyond what MQTT itself can carry
            raise Refused(f"{error}") from None
        finally:
            publishing.cancel()
