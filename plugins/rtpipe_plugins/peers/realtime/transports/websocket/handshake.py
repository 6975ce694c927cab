"""The WebSocket handshake: how a connection comes about, and what it means when it does not."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from rtpipe_plugins.network.http_headers import server_time_s
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.http_client import (
    heeds_proxies,
    limited_text,
    quoted,
    unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.dialects.dialect import Signaling, SocketRequest

_CLOSE_S = 1.0
_MOST_BYTES = 40 * 1024 * 1024
"""Longest message to take: ten minutes of 24 kHz in base64, some servers send an answer at once."""


class Handshake:
    """Opens one WebSocket to an account's server; see `Opener`.

    Args:
        account: Whose server.
        signaling: Knows where it is opened, and what another answer means.
        mask: Takes secrets out of what the server says.
    """

    def __init__(self, account: Account, signaling: Signaling, mask: Callable[[str], str]) -> None:
        self._account = account
        self._signaling = signaling
        self._mask = mask
        self._client: aiohttp.ClientSession | None = None
        self.server_time_s: float | None = None
        """The server's own clock when it took the call (Unix seconds), if it told."""

    def _new_client(self) -> aiohttp.ClientSession:
        # aiohttp follows redirects, with our key, and throws the words of a refusal away.
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(self._answered)
        trace.on_request_end.append(self._answered)
        return aiohttp.ClientSession(
            trace_configs=[trace],
            trust_env=heeds_proxies(self._account),
        )

    async def open(self, request: SocketRequest) -> aiohttp.ClientWebSocketResponse:
        """See `Opener.open`."""
        self._client = self._new_client()
        try:
            return await self._client.ws_connect(
                request.url,
                headers=request.headers,
                autoping=False,
                max_msg_size=_MOST_BYTES,
                # pyright does not know attrs' older decorator.
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),  # pyright: ignore[reportCallIssue]
            )
        except aiohttp.WSServerHandshakeError as error:
            raise self._no_websocket(error.status) from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(self._account, error, self._mask) from None

    async def close(self) -> None:
        """See `Opener.close`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _answered(
        self,
        _client: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestRedirectParams,
    ) -> None:
        response = params.response
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.server_time_s = server_time_s(response.headers)
            return
        try:
            body = await limited_text(response) or ""
        finally:
            response.close()
        if response.ok and response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._no_websocket(response.status, body)
        raise self._signaling.refusal(response.status, body, response.headers)

    def _no_websocket(self, status: int, body: str = "") -> CallRefused:
        words = quoted(body, self._mask)
        return CallRefused(
            f"{self._account.host} does not take WebSockets here (HTTP {status}){words}",
            status=status,
            help="is base_url the root of a Realtime API (…/v1)? `transport: webrtc` needs none",
        )
