"""`mqtt`: events as messages of an MQTT broker."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
    TryLater,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rtpipe import Finding
    from rtpipe_plugins.subscribers.delivery.outbox import Message
    from rtpipe_plugins.subscribers.delivery.worker import Send

_NOT_IN_A_TOPIC = str.maketrans({"+": "_", "#": "_", "\0": "_"})


def _topic(text: str) -> str:
    if not text or set(text) & set("+#\0"):
        raise ValueError("a topic to publish to is not empty and holds no + or #")
    return text


class MqttOptions(DeliveryOptions):
    """Publish each event to an MQTT broker."""

    main: ClassVar[str | None] = "topic"

    topic: Annotated[str, AfterValidator(_topic)]
    """Where; `{type}` stands for the event's type: `desk/{type}`."""
    host: str = "localhost"
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


class Mqtt(Delivery[MqttOptions]):
    """Publishes each event as JSON, in order, until the broker has confirmed it.

    At least once, that is: where the connection broke between an event and its confirmation, the
    event is published again.

    - match: transcript.*
      mqtt: {topic: "desk/{type}", host: broker.example}
    """

    kind = "mqtt"
    publishes = (MqttConnected, MqttDisconnected, SubscriberOverflowed)
    connected = MqttConnected
    disconnected = MqttDisconnected
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
        client = aiomqtt.Client(
            options.host,
            options.port or (8883 if options.tls else 1883),
            username=options.username,
            password=password.get_secret_value() if password is not None else None,
            identifier=options.client_id,
            timeout=options.timeout_s,
            tls_context=self._tls,
        )

        async def send(message: Message) -> None:
            topic = options.topic.replace("{type}", message.type.translate(_NOT_IN_A_TOPIC))
            await client.publish(topic, message.body.encode(), options.qos, options.retain)

        try:
            async with client:
                self.reached()
                yield send
        except aiomqtt.MqttError as error:
            raise TryLater(f"{error}") from None
        finally:
            client._client._sock_close()  # noqa: SLF001 - aiomqtt leaves it open when connecting is cancelled or takes too long
