"""`webhook`: events as HTTP requests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from string import ascii_letters, digits
from typing import TYPE_CHECKING, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from rtpipe import Event, Specimen, reason_of
from rtpipe.events import SubscriberOverflowed
from rtpipe_plugins.network.http_headers import retry_after_s
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
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aiohttp import ClientSession

    from rtpipe_plugins.subscribers.delivery.outbox import Message
    from rtpipe_plugins.subscribers.delivery.worker import Send

_TOKEN = frozenset(f"!#$%&'*+-.^_`|~{ascii_letters}{digits}")
"""What the name of a header consists of."""
_TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class WebhookOptions(DeliveryOptions):
    """Send each event to a web server."""

    main: ClassVar[str | None] = "url"

    url: SecretStr
    """Where, http:// or https://; it is not shown, since it may hold a token. Empty: off."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """The request's method."""
    headers: dict[str, SecretStr] = Field(default={})
    """Headers to send along, as `Authorization`; their values are not shown."""

    @property
    def address(self) -> str:
        """The URL as it is."""
        return self.url.get_secret_value()

    @field_validator("url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr) -> SecretStr:
        address = url.get_secret_value()
        try:
            parts = urlsplit(address)
            good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
            good = good and "@" not in parts.fragment
        except ValueError:
            good = False
        if address and not good:
            raise ValueError(
                "it must begin with http:// or https:// and a host, or be empty; a `/`, `?` or `#` "
                "in its user or password must be %-encoded: `%2F`, `%3F`, `%23`"
            )
        return url

    @field_validator("headers")
    @classmethod
    def _fit_on_a_line(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not name or not set(name) <= _TOKEN or set(value.get_secret_value()) & set("\r\n\0"):
                raise ValueError(f"{name!r} is no header, or its value has several lines")
        return headers

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        if urlsplit(self.address).username and "authorization" in map(str.lower, self.headers):
            raise ValueError("the url and the headers both say who we are: leave one out")
        return self


@dataclass(frozen=True, kw_only=True)
class WebhookConnected(Connected):
    """The server takes events (again)."""

    type: str = "webhook.connected"


@dataclass(frozen=True, kw_only=True)
class WebhookDisconnected(Disconnected):
    """The server is away or busy; events wait, and are tried again."""

    type: str = "webhook.disconnected"


@dataclass(frozen=True, kw_only=True)
class WebhookFailed(Failed):
    """The server refused an event for good; it was set aside, and the next one is sent.

    Attributes:
        host: The server.
        event: The type of the event that it refused.
        status: The HTTP status; 0 where there was none.
        reason: The status in words, or what happened.
        kept: The dead-letter file that holds it; "" where there is none: it is lost.
    """

    type: str = "webhook.failed"
    status: int = 0

    @property
    def why(self) -> str:
        """The status, and what it says."""
        return f"{self.status} {self.reason}" if self.status else self.reason


class Webhook(Delivery[WebhookOptions]):
    """Sends each event as JSON, in order, until the server has taken it with a 2xx.

    A network error, a time-out, a 5xx, 408 or 429 is tried again, after `Retry-After` where the
    server says so; any other answer sets the event aside and publishes `webhook.failed`. An event
    whose 2xx was seen is never sent again. Where an answer was lost on the way it is: the header
    `Idempotency-Key` is then the same, for a server that must not count it twice.

    - match: stage.failed
      webhook: {url: "${env:DESK_HOOK:-}", outbox: out/webhook.outbox}
    """

    kind = "webhook"
    external = True
    publishes = (
        WebhookConnected,
        WebhookDisconnected,
        WebhookFailed,
        OutboxDamaged,
        SubscriberOverflowed,
    )
    connected = WebhookConnected
    disconnected = WebhookDisconnected
    failed = WebhookFailed

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield the URL that stands for none."""
        yield Specimen({"url": ""})

    @classmethod
    def claims(cls, options: WebhookOptions) -> str | None:
        """Return the outbox's file; nothing where it is off."""
        return super().claims(options) if options.address else None

    @property
    def host(self) -> str:
        """The server, without what else stands in the URL."""
        return urlsplit(self.options.address).hostname or ""

    async def open(self) -> None:
        """Open the outbox and begin to send what is in it; nothing, where it is off.

        Raises:
            EnvironmentProblem: The outbox's file cannot be used.
        """
        if self.options.address:
            await super().open()

    async def on_event(self, event: Event) -> None:
        """Put `event` into the outbox.

        Raises:
            StageError: It could not be written.
        """
        if self.options.address:
            await super().on_event(event)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Send]:
        """Open an HTTP session."""
        from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout

        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        timeout = ClientTimeout(total=self.options.timeout_s)
        async with ClientSession(headers=headers, timeout=timeout) as session:

            async def send(message: Message) -> None:
                try:
                    await self._send(session, message)
                except TimeoutError:
                    raise TryLater(f"no answer within {self.options.timeout_s:g} s") from None
                except ClientResponseError:  # it has the event, and would get it for ever
                    raise TryLater("no answer that HTTP knows", suspect=True) from None
                except ClientError as error:
                    # Not its text: aiohttp's may hold the URL.
                    raise TryLater(reason_of(error, own_text=False)) from None

            yield send

    async def _send(self, session: ClientSession, message: Message) -> None:
        async with session.request(
            self.options.method,
            self.options.address,
            data=message.body.encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": message.id},
            allow_redirects=False,  # a redirected POST becomes a GET, and the headers go elsewhere
        ) as response:
            status = response.status
            if status // 100 == 2:
                self.reached()
            elif status in _TEMPORARY or status >= 500:
                raise TryLater(
                    f"{status} {_phrase(status)}", retry_after_s(response.headers) or 0.0
                )
            else:
                phrase = _phrase(status)
                raise Refused(f"{status} {phrase}", status=status, reason=phrase)


def _phrase(status: int) -> str:
    """Return a status in the standard's words: the server's own could repeat what we sent."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
