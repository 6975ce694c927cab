"""The embedded server and the pages, each on a port of its own: to the browser two origins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import openai
from numpy.typing import NDArray

from peers.browser import pages
from rtpipe_realtime_server.server import RealtimeServer
from rtpipe_realtime_server.talk.brain import Brain

SESSION = {"type": "realtime", "model": "gpt-realtime-2.1"}
Token = Callable[[], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def serving(brain: Brain, question: NDArray[np.int16]) -> AsyncIterator[tuple[str, Token]]:
    """Give the pages' URL, and what makes ephemeral keys for the server that has `brain`."""
    server = RealtimeServer(brain)
    await server.start()
    client = openai.AsyncOpenAI(api_key="sk-test", base_url=server.base_url, max_retries=0)

    async def token() -> dict[str, Any]:
        secret = await client.realtime.client_secrets.create(session=SESSION)  # type: ignore[arg-type]
        return {"key": secret.value, "calls": f"{server.base_url}/realtime/calls"}

    try:
        async with client, pages(token, question) as url:
            yield url, token
    finally:
        await server.close()
