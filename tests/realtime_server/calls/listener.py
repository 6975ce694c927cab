"""OpenAI's own client on a WebSocket, and what it is told, judged."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from realtime_server.judge import judge

KEY = "sk-right"
TIMEOUT_S = 20


class Listener:
    """Reads a connection's events, judged."""

    def __init__(self, connection: AsyncRealtimeConnection, *, media: bool = False) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._media = media

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next event of a type."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event = json.loads(await self.connection.recv_bytes())
                judge(event, media=self._media)
                self.events.append(event)
                if event["type"] == kind:
                    return dict(event)

    def kinds(self) -> list[str]:
        kinds = [event["type"] for event in self.events]
        return [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]

    def heard(self) -> NDArray[np.int16]:
        deltas = [e["delta"] for e in self.events if e["type"] == "response.output_audio.delta"]
        return np.frombuffer(b"".join(map(base64.b64decode, deltas)), "<i2").astype(np.int16)
