"""What every answer has around it: OpenAI's error body, CORS, a request id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web

from rtpipe_realtime_server.session.ids import random_text
from rtpipe_realtime_server.session.rejection import SERVER_ERROR, Rejected

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

    from rtpipe_realtime_server.calls.origins import Origins

_log = logging.getLogger(__name__)


class Envelope:
    """Stands around the server's handlers.

    Args:
        origins: Decides which web pages may ask.
        on_request: Called with the connection of each request.
    """

    def __init__(
        self, origins: Origins, on_request: Callable[[asyncio.Transport | None], None]
    ) -> None:
        self._origins = origins
        self._on_request = on_request

    @property
    def middleware(self) -> Middleware:
        """What aiohttp calls for each request."""

        @web.middleware
        async def enveloped(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._on_request(request.transport)
            origin: str | None = None
            try:
                origin = self._origins.check(request)
                preflight = request.method == "OPTIONS"
                response = _preflight(request) if preflight else await handler(request)
            except Rejected as rejected:
                response = _refusal(rejected)
            except web.HTTPException as error:
                message = f"{error.reason}: {request.method} {request.path}"
                code = "unknown_url" if error.status == 404 else None
                response = _refusal(Rejected(message, code=code, status=error.status))
            except Exception:  # noqa: BLE001 - a fault of ours is an answer too, and logged
                _log.exception("a request failed")
                message = "The server had an error while processing your request."
                response = _refusal(Rejected(message, code=None, status=500, kind=SERVER_ERROR))
            response.headers["Vary"] = "Origin"
            if origin is not None:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = "Location, X-Request-Id"
            response.headers["X-Request-Id"] = f"req_{random_text(32)}"
            return response

        return enveloped


def _preflight(request: web.Request) -> web.Response:
    asked = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": asked,
    }
    if "Access-Control-Request-Private-Network" in request.headers:
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)


def _refusal(rejected: Rejected) -> web.Response:
    after = rejected.retry_after_s
    return web.json_response(
        {"error": rejected.body()},
        status=rejected.status,
        headers={} if after is None else {"Retry-After": str(after)},
    )
