"""The seam below the WebSocket transport: a connection that stands, and what opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import WSMessage

    from rtpipe_plugins.peers.realtime.dialects.dialect import SocketRequest


class Connection(Protocol):
    """A WebSocket, as aiohttp has it."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        ...

    @property
    def close_code(self) -> int | None:
        """With which it was closed; None while it is open."""
        ...

    async def receive(self) -> WSMessage:
        """Return what comes next, its end too."""
        ...

    async def send_str(self, data: str) -> None:
        """Send a text."""
        ...

    async def ping(self, message: bytes = b"") -> None:
        """Ask the far end for a sign of life."""
        ...

    async def pong(self, message: bytes = b"") -> None:
        """Give one."""
        ...

    async def close(self) -> bool:
        """Close it; returns whether it was open."""
        ...


class Opener(Protocol):
    """Opens the connection of one call."""

    @property
    def server_time_s(self) -> float | None:
        """The server's own clock when it took the call (Unix seconds), if it told."""
        ...

    async def open(self, request: SocketRequest) -> Connection:
        """Return the open connection.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Let go of what is behind the connection; may be called again."""
        ...
