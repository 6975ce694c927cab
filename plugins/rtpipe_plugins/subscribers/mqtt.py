"""`mqtt`: events as messages of an MQTT broker."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from rtpipe import EnvironmentProblem, InputPath
from rtpipe.events import SubscriberOverflowed
from rtpipe.examination import missing_file
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
    from collections.abc import AsyncIterator, Iterable

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


def _host(text: str) -> str:
    if not text or set(text) & set("@/ "):  # it is shown, so it holds no password
        raise ValueError(
            "a name or an address alone; `port`, `username` and `password` have options"
        )
    return text


class MqttOptions(DeliveryOptions):
    """Publish each event to an MQTT broker."""

    main: ClassVar[str | None] = "topic"

    topic: Annotated[str, AfterValidator(_topic)]
    """Where; `{type}` stands for the event's type: `desk/{type}`."""
    host: Annotated[str, AfterValidator(_host)] = "localhost"
    """The broker."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Default: 1883, with tls 8883."""
    username: str | None = None
    """For a broker that asks for one."""
    password: SecretStr | None = None
    """For `username`; it is not shown."""
    qos: Literal[0, 1, 2] = 1
    """1: each event arrives at least once. 0: what is under way when the connection breaks is lost.
    2: the broker takes each once, but one whose confirmation was lost is sent again."""
    retain: bool = False
    """Whether the broker keeps the last event of each topic for those who come later."""
    tls: bool = False
    """Encrypt, and check the broker's certificate."""
    ca_file: InputPath | None = None
    """`tls`: certificates (PEM) to trust instead of the system's."""
    keep_alive_s: int = Field(default=30, ge=4, le=65_535)
    """How soon a broker that is gone is noticed while nothing is sent (s)."""
    client_id: str | None = Field(default=None, min_length=1)
    """What the broker calls us; of two with the same it disconnects one. Default: a random one."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs `tls: true`")
        return self


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
    publishes = (MqttConnected, MqttDisconnected, MqttFailed, OutboxDamaged, SubscriberOverflowed)
    connected = MqttConnected
    disconnected = MqttDisconnected
    failed = MqttFailed
    _tls: ssl.SSLContext | None = None

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
        options = self.options
        if options.tls:
            try:
                self._tls = ssl.create_default_context(cafile=options.ca_file)
            except OSError as error:
                raise EnvironmentProblem(f"cannot use {options.ca_file}: {error}") from None
        await super().open()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Send]:
        """Connect to the broker."""
        # A client of its own for each connection: one that is used again would itself repeat what
        # was not confirmed, beside us.
        import aiomqtt

        options = self.options
        password = options.password
        log = self.ctx.log.getChild("paho")  # its own has no handler: Python would use stderr
        log.setLevel(logging.WARNING)
        client = aiomqtt.Client(
            options.host,
            options.port or (8883 if options.tls else 1883),
            username=options.username,
            password=password.get_secret_value() if password is not None else None,
            logger=log,
            identifier=options.client_id,
            timeout=options.timeout_s,
            # It asks after half of the time, and has the other half for the answer.
            keepalive=max(1, (options.keep_alive_s - 2) // 2),
            tls_context=self._tls,
        )

        try:
            async with client:
                if not client._client.is_connected():  # noqa: SLF001 - aiomqtt forgets that a broker closed at once
                    raise TryLater("the broker closed the connection")
                self.reached()
                watch = asyncio.create_task(self._watch(client))
                try:
                    yield partial(self._send, client, watch)
                finally:
                    watch.cancel()
        except aiomqtt.MqttError as error:
            raise TryLater(f"{error}") from None
        finally:
            client._client._sock_close()  # noqa: SLF001 - aiomqtt leaves it open when connecting is cancelled or takes too long

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
