"""The transport `memory`: the WebSocket's, without a socket; for tests on a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from rtpipe import local_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.peers.realtime.dialects.dialect import SocketRequest
    from rtpipe_plugins.peers.realtime.transports.websocket.connection import Connection

MEMORY_URL = "memory://embedded/v1"
"""The address of a server that has none."""


class MemoryOpener:
    """Opens a session of the embedded server; see `Opener`.

    Args:
        connect: Opens it for a model.
    """

    def __init__(self, connect: Callable[[str], Connection]) -> None:
        self._connect = connect
        self.server_time_s: float | None = None
        """See `Opener.server_time_s`."""

    async def open(self, request: SocketRequest) -> Connection:
        """See `Opener.open`."""
        (model,) = parse_qs(urlsplit(request.url).query)["model"]
        self.server_time_s = local_time().timestamp()
        return self._connect(model)

    async def close(self) -> None:
        """See `Opener.close`."""
