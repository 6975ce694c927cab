"""A client on a WebSocket: with a session of its own, or on the sideband of a call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

from rtpipe_realtime_server.calls.driver import GOING_AWAY
from rtpipe_realtime_server.talk.player import TICK_S

if TYPE_CHECKING:
    from aiohttp import web

    from rtpipe_realtime_server.calls.driver import Driver
    from rtpipe_realtime_server.calls.memory_socket import MemorySocket
    from rtpipe_realtime_server.talk.outputs import Event

MOST_BYTES = 24 * 1024 * 1024
"""Longest message to accept: 15 MB of audio in base64, and its event."""
_MOST_WAITING = 16
"""So many events wait at most for a client before more is taken from it: one that asks and does not
read would fill the memory."""
_PATIENCE_S = 30.0
"""For so long a client may take nothing of what waits for it. The heartbeat does not see that: it
would close the connection behind what waits."""
_FLUSH_S = 5.0
"""For so long the last events may take to go out."""
_MOST_REASON_BYTES = 123  # all that a closing frame has room for


class Socket:
    """Sends a session's events to one client, and takes the client's.

    Args:
        ws: The connection, accepted.
        driver: The session.
        most_waiting: A client that leaves more bytes than this unread is cut off.
    """

    def __init__(
        self,
        ws: web.WebSocketResponse | MemorySocket,
        driver: Driver,
        *,
        most_waiting: int,
    ) -> None:
        self._ws = ws
        self._most_waiting = most_waiting
        self._bytes_waiting = 0
        self._driver = driver
        self._waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._room = asyncio.Event()
        """Set when the client has taken enough for another message of its own."""
        self._close: tuple[int, str] | None = None
        driver.attach(self)

    def send(self, event: Event) -> None:
        """Send an event."""
        self.send_raw(json.dumps(event))

    def send_raw(self, message: str | bytes) -> None:
        """Send what is no event."""
        self._bytes_waiting += len(message)
        self._waiting.put_nowait(message)
        if self._bytes_waiting > self._most_waiting:
            self._cut_off()

    def hang_up(self, reason: str, code: int = GOING_AWAY) -> None:
        """Close once everything has been sent."""
        if self._close is None:
            self._close = (code, reason)
        self._waiting.put_nowait(None)

    async def talk(self) -> None:
        """Carry events both ways until one side ends."""
        sending = asyncio.create_task(self._send_all())
        try:
            async for message in self._ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._driver.receive(message.data)
                if self._waiting.qsize() > _MOST_WAITING and not sending.done():
                    self._room.clear()
                    await self._room.wait()
            self._driver.detach(self)
            self.hang_up("")
            await asyncio.wait([sending], timeout=_FLUSH_S)
        finally:
            self._driver.detach(self)
            if not sending.done():
                sending.cancel()
                self._cut_off()

    async def _send_all(self) -> None:
        try:
            while (message := await self._next()) is not None:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ws.send_frame(
                        message if isinstance(message, bytes) else message.encode(),
                        WSMsgType.BINARY if isinstance(message, bytes) else WSMsgType.TEXT,
                    )
            code, reason = self._close or (GOING_AWAY, "")
            cut = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore")  # a letter whole
            await self._ws.close(code=code, message=cut.encode())
        except TimeoutError:
            self._cut_off()
        except ConnectionError:
            pass  # the client is gone, which `talk` sees too
        finally:
            self._room.set()

    async def _next(self) -> str | bytes | None:
        message = await self._waiting.get()
        self._bytes_waiting -= len(message or "")
        if self._waiting.qsize() <= _MOST_WAITING:
            self._room.set()
        return message

    def _cut_off(self) -> None:
        """End the connection of a client that does not take what it is sent."""
        connection = self._ws.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                connection.shutdown(socket.SHUT_RDWR)


async def converse(
    ws: web.WebSocketResponse | MemorySocket, driver: Driver, *, most_waiting: int
) -> None:
    """Hold a session on a WebSocket until one side ends it.

    Args:
        ws: The connection, accepted.
        driver: The session.
        most_waiting: A client that leaves more bytes than this unread is cut off.
    """
    socket = Socket(ws, driver, most_waiting=most_waiting)
    driver.open()
    clock = asyncio.create_task(_let_time_pass(driver))
    try:
        await socket.talk()
    finally:
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
        await driver.close()


async def _let_time_pass(driver: Driver) -> None:
    loop = asyncio.get_running_loop()
    while await driver.busy.wait():
        due = loop.time()
        while driver.busy.is_set():
            driver.run(driver.protocol.tick)
            due = max(due + TICK_S, loop.time())
            await asyncio.sleep(due - loop.time())
