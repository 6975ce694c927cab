"""A Realtime server of our own in this process: a conversation without key or network."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pydantic import SecretStr

from rtpipe_plugins.peers.realtime.account import Account

if TYPE_CHECKING:
    from logging import Logger

    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_realtime_server.server import RealtimeServer


class EmbeddedServer:
    """Starts `RealtimeServer` on a loopback port, for as long as one stage is open."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._server: RealtimeServer | None = None

    async def start(self, options: RealtimeOptions) -> Account:
        """Start the server and return the account that it knows."""
        from rtpipe_realtime_server.brains.choice import brain_and_faults
        from rtpipe_realtime_server.faults.knobs import Faults
        from rtpipe_realtime_server.server import RealtimeServer

        brain, faults = brain_and_faults(
            rules=options.rules,
            model=options.model_path,
            script=options.script,
            faults=options.faults or Faults(),
        )
        if brain.notice:
            self._log.warning("%s", brain.notice)
        key = f"sk-{secrets.token_urlsafe(24)}"
        self._server = RealtimeServer(brain, api_key=key, faults=faults, on_note=self._log.debug)
        await self._server.start()
        return Account("embedded", self._server.base_url, SecretStr(key))

    async def close(self) -> None:
        """Stop the server; may be called again."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()
