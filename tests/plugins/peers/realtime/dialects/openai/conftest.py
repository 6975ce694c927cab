"""What tests of OpenAI's dialect stand on."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from plugins.peers.realtime.dialects.openai.playing import Call
from plugins.peers.realtime.dialects.openai.signaling_server import Server


@pytest.fixture
async def server() -> Any:
    far_end = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", far_end.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far_end.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield far_end
    await runner.cleanup()


@pytest.fixture
def call() -> Call:
    return Call()
