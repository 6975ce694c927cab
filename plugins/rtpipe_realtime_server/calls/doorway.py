"""The listening sockets: connections are counted, those without a request are timed.

asyncio's own server takes whoever comes, and when the process has no file descriptor left it logs a
traceback for each of 128 tries a second.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from rtpipe import reason_of
from rtpipe_realtime_server.session.rejection import RETRY_AFTER_S, SERVER_ERROR, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.web import Server

    from rtpipe_realtime_server.limits import Limits

_BACKLOG = 128
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_S = 1.0
_SAY_AGAIN_S = 60.0
"""A flood is one sentence, and another a minute later if it lasts."""
_READ_REFUSAL_S = 1.0
"""For so long a refused client may take to read why. A socket closed at once would take it back."""
_MOST_REFUSED = 64
"""So many of those wait at a time; more are closed without a word."""


class Doorway:
    """Takes connections for aiohttp.

    Args:
        server: Makes what speaks HTTP on a connection.
        limits: `connections` and `request_s` are kept here.
        on_note: Takes sentences for the server's log.
    """

    def __init__(self, server: Server, limits: Limits, on_note: Callable[[str], None]) -> None:
        self._server = server
        self._limits = limits
        self._note = on_note
        self._said: dict[str, float] = {}
        self._listening: list[socket.socket] = []
        self._taking: list[asyncio.Task[None]] = []
        self._silent: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        """Connections of which no request has been seen."""
        self._refused: set[asyncio.Transport] = set()

    async def open(self, host: str, port: int) -> int:
        """Listen on every address of `host`; return the port.

        Raises:
            OSError: An address is taken or not ours; nothing listens.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                # The first decides on a port that was left open.
                at = (address[0], port or self._port(), *address[2:])
                listening = socket.socket(family, socket.SOCK_STREAM)
                self._listening.append(listening)
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.setblocking(False)  # noqa: FBT003 - the library's signature
                listening.bind(at)
                listening.listen(_BACKLOG)
        except BaseException:
            await self.close()
            raise
        self._taking = [asyncio.create_task(self._take(each)) for each in self._listening]
        return self._port()

    def asked(self, transport: asyncio.Transport | None) -> None:
        """Take note of a request on a connection: it is no longer timed."""
        timer = self._silent.pop(transport, None) if transport is not None else None
        if timer is not None:
            timer.cancel()

    async def close(self) -> None:
        """Listen no more; connections that sent a request are aiohttp's to close."""
        for task in self._taking:
            task.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        self._listening.clear()
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()
        for transport in list(self._refused):
            transport.abort()

    def _port(self) -> int:
        first = self._listening[0].getsockname() if self._listening else ("", 0)
        return int(first[1])

    async def _take(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it was gone before we came
            except OSError as error:
                why = "no file descriptor is left" if error.errno in _EXHAUSTED else "accept failed"
                self._say(f"{why} ({reason_of(error)}): new connections wait")
                await asyncio.sleep(_RETRY_S)
                continue
            with suppress(OSError):  # it is gone already
                await self._begin(connection)

    async def _begin(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        most = self._limits.connections
        if len(self._server.connections) >= most:
            self._say(f"{most} connections: more are refused (limit `connections`)")
            if len(self._refused) >= _MOST_REFUSED:
                connection.close()
                return
            await loop.connect_accepted_socket(lambda: _Refusal(self._refused), connection)
            return
        transport, _ = await loop.connect_accepted_socket(self._server, connection)
        assert isinstance(transport, asyncio.Transport)
        timer = loop.call_later(self._limits.request_s, self._give_up, transport)
        self._silent[transport] = timer

    def _give_up(self, transport: asyncio.Transport) -> None:
        del self._silent[transport]
        if not transport.is_closing():
            transport.write(_answer(too_slow(self._limits.request_s)))
            transport.close()

    def _say(self, sentence: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said.get(sentence, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            self._said[sentence] = now
            self._note(sentence)


class _Refusal(asyncio.Protocol):
    """Says that there is no room, and waits a moment for the client to read it."""

    def __init__(self, refused: set[asyncio.Transport]) -> None:
        self._refused = refused
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._refused.add(transport)
        transport.write(_answer(_too_many()))
        transport.write_eof()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_READ_REFUSAL_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._refused.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()


def too_slow(request_s: float) -> Rejected:
    """A request, or the rest of one, did not come in time."""
    return Rejected(
        f"The request was not complete within {request_s:g} s (limit `request_s`).",
        code="request_timeout",
        status=408,
    )


def _too_many() -> Rejected:
    return Rejected(
        "The server has as many connections as it takes (limit `connections`).",
        code="too_many_connections",
        status=503,
        kind=SERVER_ERROR,
        retry_after_s=RETRY_AFTER_S,
    )


def _answer(rejected: Rejected) -> bytes:
    """Return a refusal as HTTP, for a connection that aiohttp does not have, or not any more."""
    body = json.dumps({"error": rejected.body()}).encode()
    head = [
        f"HTTP/1.1 {rejected.status} {HTTPStatus(rejected.status).phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if rejected.retry_after_s is not None:
        head.append(f"Retry-After: {rejected.retry_after_s}")
    return "\r\n".join([*head, "", ""]).encode() + body
