"""A server with a key, and OpenAI's own client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest

from realtime_server.calls.listener import KEY
from realtime_server.fake_brain import FakeBrain
from rtpipe_realtime_server.server import RealtimeServer


@pytest.fixture
async def brain() -> FakeBrain:
    return FakeBrain()


@pytest.fixture
async def server(brain: FakeBrain) -> AsyncIterator[RealtimeServer]:
    server = RealtimeServer(brain, api_key=KEY)
    await server.start()
    yield server
    await server.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def client(server: RealtimeServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=KEY,
        base_url=server.base_url,
        websocket_base_url=server.base_url.replace("http", "ws"),
        max_retries=0,
    ) as client:
        yield client
