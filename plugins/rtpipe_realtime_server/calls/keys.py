"""Who may use the server: the API key, and the ephemeral keys made with it."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.session.ids import random_id
from rtpipe_realtime_server.session.rejection import RATE_LIMIT, RETRY_AFTER_S, Rejected

if TYPE_CHECKING:
    from aiohttp import web

SUBPROTOCOL = "realtime"
"""What a WebSocket speaks."""

_REMEMBERED_S = 3600.0
"""For so long an expired key is called expired, and not unknown."""
_KEY_PROTOCOL = "openai-insecure-api-key."
"""A browser's WebSocket has no headers: it names its key among the subprotocols."""


@dataclass(frozen=True, slots=True)
class Secret:
    """An ephemeral key: the session that its calls begin with."""

    session: dict[str, Any]
    expires: float
    """By the monotonic clock."""


class Keys:
    """Knows the keys.

    Args:
        api_key: The only API key to accept; None accepts any.
        most: So many ephemeral keys that have not expired, at most.
    """

    def __init__(self, api_key: str | None, *, most: int) -> None:
        self._api_key = api_key
        self._most = most
        self._secrets: dict[str, Secret] = {}

    def make(self, session: dict[str, Any], ttl_s: int) -> str:
        """Return a new ephemeral key.

        Args:
            session: What its calls begin with.
            ttl_s: Seconds until no further call can be made with it.

        Raises:
            Rejected: There are too many that have not expired.
        """
        now = time.monotonic()
        self._forget(now - _REMEMBERED_S)
        if len(self._secrets) >= self._most:
            self._forget(now)  # those that are only remembered to be called expired
        if len(self._secrets) >= self._most:
            raise Rejected(
                f"There are {self._most} ephemeral keys that have not expired (limit "
                "`client_secrets`).",
                code="client_secret_limit_reached",
                status=429,
                kind=RATE_LIMIT,
                retry_after_s=RETRY_AFTER_S,
            )
        value = random_id("ek")
        self._secrets[value] = Secret(session, now + ttl_s)
        return value

    def _forget(self, expired_by: float) -> None:
        """Forget the keys that had expired at a time of the monotonic clock."""
        self._secrets = {
            key: secret for key, secret in self._secrets.items() if secret.expires > expired_by
        }

    def check(self, request: web.Request) -> Secret | None:
        """Return the secret of an ephemeral key, None for the API key.

        Raises:
            Rejected: The request has no good key.
        """
        key = _key(request)
        if not key:
            raise unauthorized("You didn't provide an API key in an Authorization header.")
        if key.startswith("ek_"):
            secret = self._secrets.get(key)
            if secret is None:
                raise unauthorized("Incorrect ephemeral token provided.")
            if secret.expires <= time.monotonic():
                raise unauthorized("Ephemeral token expired.")
            return secret
        if self._api_key is not None and not hmac.compare_digest(
            key.encode(), self._api_key.encode()
        ):
            raise unauthorized("Incorrect API key provided.")
        return None


def unauthorized(message: str) -> Rejected:
    """The key is missing or not good for this."""
    return Rejected(message, code="invalid_api_key", status=401)


def _key(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    names = (name.strip() for name in offered)
    return next(
        (name.removeprefix(_KEY_PROTOCOL) for name in names if name.startswith(_KEY_PROTOCOL)), ""
    )
