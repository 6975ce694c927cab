"""A WebSocket without a network: two ends in one process, on whatever clock the loop has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import WSCloseCode, WSMessage, WSMsgType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_Box: TypeAlias = "asyncio.Queue[WSMessage]"


@dataclass(slots=True)
class _Closed:
    code: int | None = None


class MemorySocket:
    """One end of a connection, with the methods that both sides use of aiohttp's WebSockets.

    What is sent is there at once, and nothing is lost: only the order of tasks decides when it is
    read. `memory_sockets` makes a pair.

    Args:
        inbox: What the far end has sent.
        outbox: The far end's inbox.
        closed: Whether the connection is closed, for both ends.
    """

    def __init__(self, inbox: _Box, outbox: _Box, closed: _Closed) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._closed = closed

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closed.code is not None

    @property
    def close_code(self) -> int | None:
        """With which the connection was closed; None while it is open."""
        return self._closed.code

    async def send_str(self, data: str) -> None:
        """Send a text.

        Raises:
            ConnectionResetError: The connection is closed.
        """
        self._send(WSMessage(WSMsgType.TEXT, data, None))

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        """Send a text or bytes, as `opcode` says.

        Raises:
            ConnectionResetError: The connection is closed.
        """
        data = message.decode() if opcode is WSMsgType.TEXT else message
        self._send(WSMessage(opcode, data, None))

    async def ping(self, message: bytes = b"") -> None:
        """Ask the far end for a sign of life; it is given at once.

        Raises:
            ConnectionResetError: The connection is closed.
        """
        if self.closed:
            raise ConnectionResetError("the connection is closed")
        self._inbox.put_nowait(WSMessage(WSMsgType.PONG, message, None))

    async def pong(self, message: bytes = b"") -> None:
        """Do nothing: `ping` answers itself."""

    async def receive(self) -> WSMessage:
        """Return what comes next; `CLOSE` is the last message, and comes again."""
        message = await self._inbox.get()
        if message.type is WSMsgType.CLOSE:
            self._inbox.put_nowait(message)
        return message

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        """Yield what comes until the connection is closed."""
        while (message := await self.receive()).type is not WSMsgType.CLOSE:
            yield message

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"") -> bool:
        """Close both ends; returns whether it was open."""
        if self.closed:
            return False
        self._closed.code = int(code)
        closing = WSMessage(WSMsgType.CLOSE, int(code), message.decode(errors="replace"))
        self._inbox.put_nowait(closing)
        self._outbox.put_nowait(closing)
        return True

    def get_extra_info(self, name: str) -> None:
        """Know nothing of a transport below."""

    def _send(self, message: WSMessage) -> None:
        if self.closed:
            raise ConnectionResetError("the connection is closed")
        self._outbox.put_nowait(message)


def memory_sockets() -> tuple[MemorySocket, MemorySocket]:
    """Return the two ends of a connection."""
    one: _Box = asyncio.Queue()
    other: _Box = asyncio.Queue()
    closed = _Closed()
    return MemorySocket(one, other, closed), MemorySocket(other, one, closed)
