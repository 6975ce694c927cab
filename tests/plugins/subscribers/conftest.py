"""A web server that takes what a webhook sends."""

from collections.abc import AsyncIterator

import pytest

from helpers.web_server import WebServer


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    server = WebServer()
    await server.start()
    yield server
    await server.stop()
