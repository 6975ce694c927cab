"""An MQTT broker: how it is named in a file, and the connection to it."""

from __future__ import annotations

import logging
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from rtpipe import EnvironmentProblem, InputPath, Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiomqtt import Client, Will


def _host(text: str) -> str:
    if not text or set(text) & set("@/ "):  # it is shown, so it holds no password
        raise ValueError(
            "a name or an address alone; `port`, `username` and `password` have options"
        )
    return text


class BrokerOptions(Options):
    """Which broker, and how it is reached."""

    host: Annotated[str, AfterValidator(_host)] = "localhost"
    """The broker."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Default: 1883, with tls 8883."""
    username: str | None = None
    """For a broker that asks for one."""
    password: SecretStr | None = None
    """For `username`; it is not shown."""
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


def tls_of(options: BrokerOptions) -> ssl.SSLContext | None:
    """Return what encrypts the connection; None where nothing does.

    Raises:
        EnvironmentProblem: `ca_file` cannot be used.
    """
    if not options.tls:
        return None
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        raise EnvironmentProblem(f"cannot use {options.ca_file}: {error}") from None


@asynccontextmanager
async def connected(
    options: BrokerOptions,
    log: logging.Logger,
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None,
    will: Will | None = None,
) -> AsyncIterator[Client]:
    """Connect to a broker until the block ends.

    Args:
        options: Which.
        log: Takes what the MQTT library warns of.
        timeout_s: How long connecting, and each answer, may take (s).
        tls: See `tls_of`.
        will: What the broker publishes for us when we are gone without a word.

    Raises:
        aiomqtt.MqttError: It cannot be reached, refuses us, or the connection broke.
    """
    # A client of its own for each connection: one that is used again would itself repeat what
    # was not confirmed, beside us.
    import aiomqtt

    password = options.password
    own = log.getChild("paho")  # its own has no handler: Python would use stderr
    own.setLevel(logging.WARNING)
    client = aiomqtt.Client(
        options.host,
        options.port or (8883 if options.tls else 1883),
        username=options.username,
        password=password.get_secret_value() if password is not None else None,
        logger=own,
        identifier=options.client_id,
        timeout=timeout_s,
        # It asks after half of the time, and has the other half for the answer.
        keepalive=max(1, (options.keep_alive_s - 2) // 2),
        tls_context=tls,
        will=will,
    )
    try:
        async with client:
            if not client._client.is_connected():  # noqa: SLF001 - aiomqtt forgets that a broker closed at once
                raise aiomqtt.MqttError("the broker closed the connection")
            yield client
    finally:
        client._client._sock_close()  # noqa: SLF001 - aiomqtt leaves it open when connecting is cancelled or takes too long
