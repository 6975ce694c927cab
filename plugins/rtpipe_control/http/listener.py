"""A listener that takes a bounded number of connections, and serves none before it has spoken.

What serves HTTP is imported when the first byte comes, beside the audio: a run whose name is asked
for by other runs, or by `ps`, imports nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from rtpipe_control import sockets

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable, Coroutine

MOST_CONNECTIONS = 256
"""Of a listener; a process has a thousand or so files, and a recording needs some."""
SILENT_S = 15.0
"""A caller who has not asked for anything by then is sent away."""
_HANDSHAKE_S = 5.0
_PAUSE_S = 0.5
_MOST_LEAVING = 32
_LEAVES_S = 1.0
_log = logging.getLogger("rtpipe.control")


class Listener:
    """Takes connections, and gives each to what serves it.

    Args:
        at: The bound socket.
        serve: Returns what serves a connection; awaited when its first bytes have come.
        tls: For https.
        only: The user who may come, if it is a private socket.
    """

    def __init__(
        self,
        at: socket.socket,
        serve: Callable[[], Awaitable[asyncio.BaseProtocol]],
        *,
        tls: ssl.SSLContext | None = None,
        only: int | None = None,
    ) -> None:
        self._at = at
        self._serve = serve
        self._tls = tls
        self._only = only
        self._allowed = {only, 0, None}
        self._open: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept(), name="control listener")

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def refuse(self) -> None:
        """Take no more; those that are open go on."""
        self._accepting.cancel()

    async def close(self) -> None:
        """Take no more, and end those that are still open."""
        tasks = [self._accepting, *self._open, *self._leaving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._at.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._at)
            except OSError as error:  # no more files, or it went away before we looked
                _log.debug("cannot take a connection: %s", error)
                await asyncio.sleep(_PAUSE_S)
                continue
            connection.setblocking(False)  # noqa: FBT003 - its only way
            if len(self._open) >= MOST_CONNECTIONS:
                self._send_away(connection, _FULL)
            elif self._only is not None and sockets.caller_of(connection) not in self._allowed:
                self._send_away(connection, _FOREIGN)
            else:
                self._let(self._hold(connection), self._open)

    def _let(self, doing: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(doing, name="control connection")
        among.add(task)
        task.add_done_callback(among.discard)

    def _send_away(self, connection: socket.socket, answer: bytes) -> None:
        """Tell a caller that he cannot be served; if many are being told, let him go untold."""
        if self._tls is None and len(self._leaving) < _MOST_LEAVING:
            self._let(_told(connection, answer), self._leaving)
        else:
            connection.close()

    async def _hold(self, connection: socket.socket) -> None:
        """Let a connection be served until it is over."""
        loop = asyncio.get_running_loop()
        held = Connection(self._serve)
        patience = {} if self._tls is None else {"ssl_handshake_timeout": _HANDSHAKE_S}
        try:
            with suppress(OSError):  # also what goes wrong in a handshake
                await loop.connect_accepted_socket(
                    lambda: held, connection, ssl=self._tls, **patience
                )
                await held.over
        finally:
            held.abort()
            connection.close()


async def _told(connection: socket.socket, answer: bytes) -> None:
    """Answer a caller whatever he asks, and hear him out: who hangs up first is not heard."""
    loop = asyncio.get_running_loop()
    with connection, suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LEAVES_S):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(SHUT_WR)
            while await loop.sock_recv(connection, 4096):
                pass


def _answer(status: str, error: str, help: str) -> bytes:
    body = json.dumps({"error": error, "help": help})
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


_FULL = _answer("503 Service Unavailable", "too many others are connected", "try again later")
_FOREIGN = _answer("403 Forbidden", "this pipeline is another user's", "ask who started it")


class Connection(asyncio.Protocol):
    """Holds a connection until its first bytes come and what serves it is there.

    Args:
        serve: Returns what serves it.

    Attributes:
        over: Done when the connection is gone.
    """

    def __init__(self, serve: Callable[[], Awaitable[asyncio.BaseProtocol]]) -> None:
        loop = asyncio.get_running_loop()
        self._serve = serve
        self.over: asyncio.Future[None] = loop.create_future()
        self._first: bytes = b""
        self._served_by: asyncio.Protocol | None = None
        self._giving: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._silent = loop.call_later(SILENT_S, self.abort)

    def abort(self) -> None:
        """End it at once, if it is not over."""
        self._silent.cancel()
        if self._giving is not None:
            self._giving.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio's -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Give the first bytes to what serves it, once that is there, then all others."""
        if self._served_by is not None:
            self._served_by.data_received(data)
            return
        assert self._transport is not None
        self._first += data
        if self._giving is None:
            self._silent.cancel()
            self._transport.pause_reading()
            self._giving = asyncio.create_task(self._give(self._transport))

    def eof_received(self) -> bool | None:
        """Pass it on; who has said nothing has nothing to say."""
        return self._served_by.eof_received() if self._served_by is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._silent.cancel()
        if self._served_by is not None:
            self._served_by.connection_lost(exc)
        elif self._giving is not None:
            self._giving.cancel()
        self._transport = None
        if not self.over.done():
            self.over.set_result(None)

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._served_by is not None:
            self._served_by.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._served_by is not None:
            self._served_by.resume_writing()

    async def _give(self, transport: asyncio.Transport) -> None:
        try:
            served_by = await self._serve()
        except Exception as error:  # noqa: BLE001 - whatever it is, the pipeline goes on
            _log.warning("cannot serve a connection: %s", error)
            transport.abort()
            return
        assert isinstance(served_by, asyncio.Protocol)
        self._served_by = served_by
        served_by.connection_made(transport)
        served_by.data_received(self._first)
        self._first = b""
        if not transport.is_closing():
            transport.resume_reading()
