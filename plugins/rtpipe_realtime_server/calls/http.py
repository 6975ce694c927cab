"""The server's HTTP half: client secrets, calls, WebSockets, and OpenAI's error bodies."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from rtpipe_realtime_server.calls.bodies import json_body, offer_and_session, ttl_seconds
from rtpipe_realtime_server.calls.doorway import too_slow
from rtpipe_realtime_server.calls.envelope import Envelope
from rtpipe_realtime_server.calls.keys import SUBPROTOCOL, Keys, unauthorized
from rtpipe_realtime_server.calls.offer import InvalidOfferError
from rtpipe_realtime_server.calls.websocket import MOST_BYTES
from rtpipe_realtime_server.session.ids import random_id
from rtpipe_realtime_server.session.rejection import (
    Rejected,
    missing_parameter,
    unknown_parameter,
    wrong_type,
)
from rtpipe_realtime_server.session.session import DEFAULT_MODEL, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rtpipe_realtime_server.calls.calls import Calls
    from rtpipe_realtime_server.calls.origins import Origins
    from rtpipe_realtime_server.faults.http import HttpFaults
    from rtpipe_realtime_server.limits import Limits

_HEARTBEAT_S = 30.0
_CALL = "sess_u0"
"""Prefix of the session of a call; others are `sess`."""
_KEEP_ALIVE_S = 75.0
"""For so long a connection may be idle, or begin a request and not end its header."""


class Api:
    """Answers requests.

    Args:
        calls: The calls that are running.
        api_key: The only key to accept; None accepts any.
        session_s: How long the session of a call lasts.
        origins: Decides which web pages may ask.
        limits: `client_secrets` and `request_s` are kept here.
        faults: What goes wrong with requests.
        on_request: Called with the connection of each request, once its header is here.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        api_key: str | None,
        session_s: float,
        origins: Origins,
        limits: Limits,
        faults: HttpFaults,
        on_request: Callable[[asyncio.Transport | None], None],
    ) -> None:
        self._calls = calls
        self._keys = Keys(api_key, most=limits.client_secrets)
        self._session_s = session_s
        self._request_s = limits.request_s
        self._envelope = Envelope(origins, on_request)
        self._faults = faults

    def runner(self, shutdown_s: float) -> web.AppRunner:
        """Return what serves the application.

        Args:
            shutdown_s: For so long its end waits for requests that are being answered.
        """
        return web.AppRunner(
            self.app(),
            access_log=None,
            shutdown_timeout=shutdown_s,
            keepalive_timeout=_KEEP_ALIVE_S,
            logger=_http_log(),
        )

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(middlewares=[self._envelope.middleware, self._faults.middleware])
        app.router.add_post("/v1/realtime/client_secrets", self._create_secret)
        app.router.add_post("/v1/realtime/calls", self._create_call)
        app.router.add_post("/v1/realtime/calls/{call_id}/hangup", self._hang_up)
        app.router.add_get("/v1/realtime", self._connect)
        for path in ("", "/sessions", "/transcription_sessions"):
            app.router.add_post(f"/v1/realtime{path}", _refuse_beta)
        return app

    async def _create_secret(self, request: web.Request) -> web.Response:
        if self._keys.check(request) is not None:
            raise unauthorized("An ephemeral key cannot create client secrets.")
        async with self._in_time():
            body = await json_body(request)
        for key in body:
            if key not in ("expires_after", "session"):
                raise unknown_parameter(key)
        ttl_s = ttl_seconds(body.get("expires_after"))
        given = {"type": "realtime"} if body.get("session") is None else body["session"]
        if not isinstance(given, dict):
            raise wrong_type("session", "an object", given)
        session = Session(given, session_id=random_id("sess"), expires_at=0)
        value = self._keys.make(given, ttl_s)
        return web.json_response(
            {
                "value": value,
                "expires_at": int(time.time()) + ttl_s,
                "session": session.snapshot(),
            }
        )

    async def _create_call(self, request: web.Request) -> web.Response:
        secret = self._keys.check(request)
        async with self._in_time():
            offer, given = await offer_and_session(request)
        if secret is not None:
            session = self._session(secret.session, _CALL)
            if given is not None:
                session.update(given)
        elif given is not None:
            if "model" not in given and given.get("type") != "transcription":
                raise missing_parameter("session.model")
            session = self._session(given, _CALL)
        else:
            session = self._session(_by_query(request), _CALL)
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

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Wait for the rest of a request as long as the limit allows."""
        try:
            async with asyncio.timeout(self._request_s):
                yield
        except TimeoutError as error:
            raise too_slow(self._request_s) from error

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._keys.check(request)
        await self._calls.hang_up(self._calls.find(request.match_info["call_id"]).id)
        return web.Response()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        """Open a session on a WebSocket, or the sideband of a call."""
        secret = self._keys.check(request)
        ws = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            max_msg_size=MOST_BYTES,
            heartbeat=_HEARTBEAT_S,
            compress=False,
        )
        if not ws.can_prepare(request):
            raise Rejected("GET is for WebSockets: this is no upgrade.", code=None)
        call_id = request.query.get("call_id")
        if call_id is not None:
            call = self._calls.find(call_id)
            await ws.prepare(request)
            await self._calls.listen_in(ws, call)
        else:
            session = self._session(secret.session if secret else _by_query(request), "sess")
            with self._calls.place():
                await ws.prepare(request)
                await self._calls.converse(ws, session)
        return ws

    def _session(self, given: dict[str, Any], prefix: str) -> Session:
        expires_at = int(time.time() + self._session_s)
        return Session(given, session_id=random_id(prefix), expires_at=expires_at)


def _http_log() -> logging.Logger:
    """Return aiohttp's log without a traceback for each client that does not speak HTTP."""
    log = logging.getLogger("rtpipe.serve_realtime.http")
    if not log.filters:
        log.addFilter(lambda record: not _is_clients_fault(record))
    return log


def _is_clients_fault(record: logging.LogRecord) -> bool:
    return record.exc_info is not None and isinstance(record.exc_info[1], HttpProcessingError)


def _by_query(request: web.Request) -> dict[str, Any]:
    if request.query.get("intent") == "transcription":
        return {"type": "transcription"}
    return {"type": "realtime", "model": request.query.get("model", DEFAULT_MODEL)}


async def _refuse_beta(_request: web.Request) -> web.Response:
    raise Rejected(
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        code="beta_api_shape_disabled",
    )
