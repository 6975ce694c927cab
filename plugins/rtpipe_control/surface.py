"""The surface of a running pipeline: opened beside its stages, gone with it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem
from rtpipe_control import sockets
from rtpipe_control.addresses import parse_address
from rtpipe_control.events import ControlOpened, ControlOpenedAside, ControlRefused
from rtpipe_control.http.late import LateProtocol
from rtpipe_control.view.feed import Feed
from rtpipe_control.view.listening import Taps
from rtpipe_control.view.metrics import Metrics
from rtpipe_control.view.snapshot import View, installed_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from rtpipe import Event, Pipeline
    from rtpipe_control.options import Wanted
    from rtpipe_control.section import ControlOptions

_LEAVE_S = 1.0


@asynccontextmanager
async def opened(pipeline: Pipeline, wanted: Wanted) -> AsyncIterator[None]:
    """Open the private socket of `pipeline`, and what else is wanted, while the block lasts."""

    def tell(event: Event) -> None:
        pipeline.bus.publish(replace(event, source="control", at=pipeline.clock.now()))

    try:
        with sockets.bound(pipeline.spec.name) as (run, listener):
            surface = _Surface(pipeline, wanted.tcp, run)
            try:
                await surface.listen_privately(listener)
                url = ""
                if wanted.tcp is not None:
                    try:
                        url = await surface.listen(wanted.tcp)
                    except (OSError, EnvironmentProblem) as error:
                        tell(ControlRefused(reason=f"{wanted.tcp.listen}: {error}"))
                aside = url or run != sockets.reduced(pipeline.spec.name)
                tell((ControlOpenedAside if aside else ControlOpened)(name=run, url=url))
                yield
            finally:
                await surface.close()
    except EnvironmentProblem as problem:
        tell(ControlRefused(reason=problem.message))
        yield


class _Surface:
    """Listeners, and what answers them once somebody has come."""

    def __init__(self, pipeline: Pipeline, options: ControlOptions | None, run: str) -> None:
        self._pipeline = pipeline
        self._options = options
        self._view = View(pipeline, run)
        self._feed = Feed(pipeline, self._view)
        self._taps = Taps(pipeline)
        self._metrics = Metrics(
            pipeline,
            installed_version(),
            readers=lambda: self._feed.readers,
            listeners=lambda: self._taps.listeners,
        )
        self._unsubscribe = pipeline.bus.subscribe("*", self._metrics.take)
        self._listeners: list[asyncio.Server] = []
        self._runner: asyncio.Task[web.AppRunner] | None = None

    async def listen_privately(self, listener: object) -> None:
        """Listen on the private socket."""
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(self._protocol, sock=listener)  # type: ignore[arg-type]
        self._listeners.append(server)

    async def listen(self, options: ControlOptions) -> str:
        """Listen on TCP; returns the address of the page."""
        host, port = parse_address(options.listen)
        context = None
        if options.tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(options.tls.certificate, options.tls.key)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, host, port, ssl=context)
        self._listeners.append(server)
        port = server.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self._view.page = f"{'http' if context is None else 'https'}://{shown}:{port}/"
        return self._view.page

    async def close(self) -> None:
        """Listen no more, and end what is being answered."""
        for listener in self._listeners:
            listener.close()
        self._unsubscribe()
        self._metrics.close()
        self._taps.close()
        await self._feed.close()
        if self._runner is not None:
            with suppress(Exception):
                runner = await self._runner
                await runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        return LateProtocol(self._serve)

    async def _serve(self) -> asyncio.BaseProtocol:
        if self._runner is None:
            self._runner = asyncio.ensure_future(self._made())
        runner = await asyncio.shield(self._runner)
        assert runner.server is not None
        return runner.server()

    async def _made(self) -> web.AppRunner:
        await asyncio.to_thread(_load)
        from aiohttp import web

        from rtpipe_control.http.application import Application
        from rtpipe_control.http.door import Door

        door = None if self._options is None else Door(self._options)
        application = Application(
            self._pipeline, self._view, self._feed, self._taps, self._metrics, door
        )
        runner = web.AppRunner(application.made(), access_log=None, shutdown_timeout=_LEAVE_S)
        await runner.setup()
        return runner


def _load() -> None:
    """Import what serves HTTP: beside the event loop, which the audio needs."""
    import rtpipe_control.http.application  # noqa: F401 - for its import
