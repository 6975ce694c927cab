"""A web server that a test starts, stops and starts again, and that misbehaves when asked to."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from helpers.broker import free_port


class WebServer:
    """Answers 200 to everything on its port, or what was asked for, and remembers what it took."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook/token-in-path"
        self.answers: list[Callable[[], web.Response]] = []
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.silent = False
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after a request."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(condition)

    async def _handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        response = self.answers.pop(0)() if self.answers else web.Response()
        async with self._news:
            self.requests.append(request)
            self.bodies.append(body)
            if response.status == 200:
                self.taken.append(body)
            self._news.notify_all()
        if self.silent:
            await asyncio.sleep(60)
        return response


def answer(status: int, **headers: str) -> Callable[[], web.Response]:
    """Return what makes an answer of the server's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.Response(status=status, headers=named, text="said Bearer s3cret-value")
