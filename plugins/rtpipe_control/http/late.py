"""A listener whose HTTP library is imported at the first connection, beside the audio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class LateProtocol(asyncio.Protocol):
    """Holds a connection until what serves it is there, and gives it over unread.

    Args:
        serve: Returns what serves a connection; awaited once for each.
    """

    def __init__(self, serve: Callable[[], Awaitable[asyncio.BaseProtocol]]) -> None:
        self._serve = serve
        self._given: asyncio.Task[None] | None = None
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stop reading, and wait for who serves it."""
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._given = asyncio.ensure_future(self._give(transport))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whyever
        """The caller has gone before anybody served him."""
        self._lost = True

    async def _give(self, transport: asyncio.Transport) -> None:
        try:
            protocol = await self._serve()
        except Exception:
            transport.abort()
            raise
        if self._lost or transport.is_closing():
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
