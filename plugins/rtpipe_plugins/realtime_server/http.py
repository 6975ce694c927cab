"""The server's HTTP half: client secrets, calls, hang-up, and OpenAI's error bodies."""

from __future__ import annotations

import hmac
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rtpipe_plugins.realtime_server.bodies import json_body, offer_and_session, ttl_seconds
from rtpipe_plugins.realtime_server.ids import random_id, random_text
from rtpipe_plugins.realtime_server.media import InvalidOfferError
from rtpipe_plugins.realtime_server.rejection import (
    Rejected,
    missing_parameter,
    unknown_parameter,
    wrong_type,
)
from rtpipe_plugins.realtime_server.session import DEFAULT_MODEL, SESSION_SECONDS, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtpipe_plugins.realtime_server.calls import Calls

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

_REMEMBERED_S = 3600.0
"""For so long an expired key is called expired, and not unknown."""
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, X-Request-Id",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """An ephemeral key: the session that its calls begin with."""

    session: dict[str, Any]
    expires: float
    """By the monotonic clock."""


class Api:
    """Answers requests.

    Args:
        calls: The calls that are running.
        api_key: The only key to accept; None accepts any.
    """

    def __init__(self, calls: Calls, *, api_key: str | None) -> None:
        self._calls = calls
        self._api_key = api_key
        self._secrets: dict[str, Secret] = {}

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(middlewares=[_enveloped])
        app.router.add_post("/v1/realtime/client_secrets", self._create_secret)
        app.router.add_post("/v1/realtime/calls", self._create_call)
        app.router.add_post("/v1/realtime/calls/{call_id}/hangup", self._hang_up)
        for path in ("", "/sessions", "/transcription_sessions"):
            app.router.add_post(f"/v1/realtime{path}", _refuse_beta)
        return app

    async def _create_secret(self, request: web.Request) -> web.Response:
        if self._authorize(request) is not None:
            raise _unauthorized("An ephemeral key cannot create client secrets.")
        body = await json_body(request)
        for key in body:
            if key not in ("expires_after", "session"):
                raise unknown_parameter(key)
        ttl_s = ttl_seconds(body.get("expires_after"))
        given = {"type": "realtime"} if body.get("session") is None else body["session"]
        if not isinstance(given, dict):
            raise wrong_type("session", "an object", given)
        session = Session(given, session_id=_session_id(), expires_at=0)
        now = time.monotonic()
        self._secrets = {
            key: secret
            for key, secret in self._secrets.items()
            if secret.expires > now - _REMEMBERED_S
        }
        value = random_id("ek")
        self._secrets[value] = Secret(given, now + ttl_s)
        return web.json_response(
            {
                "value": value,
                "expires_at": int(time.time()) + ttl_s,
                "session": session.snapshot(),
            }
        )

    async def _create_call(self, request: web.Request) -> web.Response:
        secret = self._authorize(request)
        offer, given = await offer_and_session(request)
        if secret is not None:
            settings = secret.session
        elif given is not None:
            if "model" not in given:
                raise missing_parameter("session.model")
            settings, given = given, None
        else:
            settings = {"type": "realtime", "model": request.query.get("model", DEFAULT_MODEL)}
        session = Session(
            settings, session_id=_session_id(), expires_at=int(time.time()) + SESSION_SECONDS
        )
        if given is not None:
            session.update(given)
        try:
            call_id, answer = await self._calls.create(offer, session)
        except InvalidOfferError as error:
            raise Rejected(
                "Invalid SDP offer. Please try again with a WHIP-compliant offer.",
                code="invalid_offer",
            ) from error
        return web.Response(
            status=201,
            text=answer,
            content_type="text/plain",
            charset="utf-8",
            headers={"Location": f"/v1/realtime/calls/{call_id}"},
        )

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._authorize(request)
        call_id = request.match_info["call_id"]
        if not await self._calls.hang_up(call_id):
            raise Rejected(
                f"No call with id '{call_id}' was found.", code="call_id_not_found", status=404
            )
        return web.Response()

    def _authorize(self, request: web.Request) -> Secret | None:
        """Return the secret of an ephemeral key, None for the API key."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise _unauthorized("You didn't provide an API key in an Authorization header.")
        if key.startswith("ek_"):
            secret = self._secrets.get(key)
            if secret is None:
                raise _unauthorized("Incorrect ephemeral token provided.")
            if secret.expires <= time.monotonic():
                raise _unauthorized("Ephemeral token expired.")
            return secret
        if self._api_key is not None and not hmac.compare_digest(
            key.encode(), self._api_key.encode()
        ):
            raise _unauthorized("Incorrect API key provided.")
        return None


def _unauthorized(message: str) -> Rejected:
    return Rejected(message, code="invalid_api_key", status=401)


def _session_id() -> str:
    return f"sess_u0_{random_text(21)}"


async def _refuse_beta(_request: web.Request) -> web.Response:
    raise Rejected(
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        code="beta_api_shape_disabled",
    )


@web.middleware
async def _enveloped(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add CORS and a request id to every answer, and give every error OpenAI's body."""
    response: web.StreamResponse
    if request.method == "OPTIONS":
        asked = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
        response = web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
                "Access-Control-Allow-Headers": asked,
            },
        )
    else:
        try:
            response = await handler(request)
        except Rejected as rejected:
            response = web.json_response({"error": rejected.body()}, status=rejected.status)
        except web.HTTPException as error:
            refusal = Rejected(
                f"{error.reason}: {request.method} {request.path}",
                code="unknown_url" if error.status == 404 else None,
            )
            response = web.json_response({"error": refusal.body()}, status=error.status)
        except Exception:  # noqa: BLE001 - a fault of ours is an answer too, and logged
            _log.exception("a request failed")
            message = "The server had an error while processing your request."
            body = {"type": "server_error", "code": None, "message": message, "param": None}
            response = web.json_response({"error": body}, status=500)
    response.headers.update(_CORS)
    response.headers["X-Request-Id"] = f"req_{random_text(32)}"
    return response
