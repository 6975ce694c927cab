"""What goes wrong over HTTP: requests for a call that are refused, answered late or badly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from rtpipe_realtime_server.faults.knobs import Faults

_PAGE = "<!DOCTYPE html>\n<html><body><h1>Welcome to the hotel's Wi-Fi</h1></body></html>\n"
_END_OF_CANDIDATES = "a=end-of-candidates\r\n"
_REFUSALS = {
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
}


class HttpFaults:
    """Stands in front of the server's handlers; counts over all calls.

    Args:
        faults: What goes wrong.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._taken = 0
        self._to_refuse = {429: faults.http_429 or 0, 500: faults.http_500 or 0}

    def next_refusal(self) -> int | None:
        """Return the status to refuse the next request for a call with, None to take it."""
        for status, left in self._to_refuse.items():
            if left:
                self._to_refuse[status] -= 1
                return status
        return None

    def spoilt(self, answer: str) -> str:
        """Return an SDP answer as the client gets it."""
        if self._faults.no_end_of_candidates:
            answer = answer.replace(_END_OF_CANDIDATES, "")
        if self._faults.bad_answer == "html":
            return _PAGE
        return answer[: len(answer) // 2] if self._faults.bad_answer == "cut" else answer

    @property
    def middleware(self) -> Middleware:
        """What aiohttp calls for each request."""

        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not _asks_for_a_call(request):
                return await handler(request)
            status = self.next_refusal()
            if status is not None:
                return self._refuse(status)
            self._taken += 1
            spoils = self._taken <= (self._faults.first_calls or self._taken)
            response = await handler(request)
            if not isinstance(response, web.Response) or not spoils:
                return response  # or a WebSocket, and its session is over
            if self._faults.answer_delay_s:
                await asyncio.sleep(self._faults.answer_delay_s)
            if response.status == 201 and response.text:
                response.text = self.spoilt(response.text)
            return response

        return faulty

    def _refuse(self, status: int) -> web.Response:
        kind, code, message = _REFUSALS[status]
        after = self._faults.retry_after_s
        return web.json_response(
            {"error": {"message": message, "type": kind, "param": None, "code": code}},
            status=status,
            headers={} if after is None else {"Retry-After": f"{after:g}"},
        )


def _asks_for_a_call(request: web.Request) -> bool:
    """Whether a request wants a session of its own, over WebRTC or a WebSocket."""
    if request.method == "POST":
        return request.path == "/v1/realtime/calls"
    return request.path == "/v1/realtime" and "call_id" not in request.query
