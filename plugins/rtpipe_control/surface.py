"""The surface of a running pipeline: opened beside its stages, gone with it."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
import sys
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from io import UnsupportedOperation
from typing import TYPE_CHECKING, TextIO

import rtpipe
from rtpipe import EnvironmentProblem
from rtpipe_control import sockets
from rtpipe_control.addresses import is_anywhere, parse_address
from rtpipe_control.events import ControlOpened, ControlOpenedAside, ControlRefused
from rtpipe_control.http.door import Door
from rtpipe_control.http.listener import SILENT_S, Listener
from rtpipe_control.view.feed import Feed
from rtpipe_control.view.listening import Taps
from rtpipe_control.view.metrics import Metrics
from rtpipe_control.view.snapshot import View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from rtpipe import Event, Pipeline
    from rtpipe_control.options import Wanted
    from rtpipe_control.section import ControlOptions, TlsOptions

_LEAVE_S = 1.0
_ERASE_LINE = "\r\x1b[2K"
"""The status line may stand there."""
_LONGEST_FIELD = 8190
_MOST_FIELDS = 64


@asynccontextmanager
async def opened(pipeline: Pipeline, wanted: Wanted) -> AsyncIterator[None]:
    """Open the private socket of `pipeline`, and what else is wanted, while the block lasts."""

    def tell(event: Event) -> None:
        pipeline.bus.publish(replace(event, source="control", at=pipeline.clock.now()))

    own = sockets.reduced(pipeline.spec.name)
    with ExitStack() as held:
        try:
            run, listener = held.enter_context(sockets.bound(pipeline.spec.name))
        except EnvironmentProblem as problem:
            tell(ControlRefused(reason=problem.message))
            run, listener = own, None
        surface = _Surface(pipeline, wanted.tcp, run)
        try:
            if listener is not None:
                surface.listen_privately(listener)
            url = ""
            if wanted.refused:
                tell(ControlRefused(reason=wanted.refused))
            if wanted.tcp is not None:
                try:
                    url = await surface.listen(wanted.tcp)
                except EnvironmentProblem as problem:
                    tell(ControlRefused(reason=problem.message))
                else:
                    if wanted.at_a_terminal and surface.door.asks_for_a_token:
                        _show_link(surface.door.link_to(url))
            if listener is not None or url:
                told = ControlOpenedAside if url or run != own else ControlOpened
                tell(told(name=run, url=url))
            yield
        finally:
            await surface.close()


class _Surface:
    """Listeners, and what answers them once somebody has come."""

    def __init__(self, pipeline: Pipeline, options: ControlOptions | None, run: str) -> None:
        self._pipeline = pipeline
        self._view = View(pipeline, run)
        self._feed = Feed(pipeline, self._view)
        self._taps = Taps(pipeline)
        self._metrics = Metrics(pipeline, rtpipe.__version__, self._audience)
        self._unsubscribe = pipeline.bus.subscribe("*", self._metrics.take)
        self.door = Door(options)
        self._listeners: list[Listener] = []
        self._runners: dict[bool, asyncio.Task[web.AppRunner]] = {}

    def listen_privately(self, at: socket.socket) -> None:
        """Listen on the private socket, to its user alone."""
        self._listeners.append(Listener(at, self._serve_privately, only=os.geteuid()))

    async def listen(self, options: ControlOptions) -> str:
        """Listen on TCP; returns the address of the page.

        Raises:
            EnvironmentProblem: The address cannot be had, or the certificate cannot be used.
        """
        context = None if options.tls is None else _tls(options.tls)
        host, port = parse_address(options.listen)
        bound: list[socket.socket] = []
        try:
            for family, address in await _addresses(host, port):
                at = _bound_to(family, (address, port), options.listen)
                bound.append(at)
                port = at.getsockname()[1]  # one port for all, if any will do
        except EnvironmentProblem:
            for at in bound:
                at.close()
            raise
        self._listeners += [Listener(at, self._serve, tls=context) for at in bound]
        host = "localhost" if is_anywhere(host) else f"[{host}]" if ":" in host else host
        self.door.port = port
        self._view.page = f"{'http' if context is None else 'https'}://{host}:{port}/"
        return self._view.page

    async def close(self) -> None:
        """Listen no more, and end what is being answered."""
        for listener in self._listeners:
            listener.refuse()
        self._unsubscribe()
        self._metrics.close()
        self._taps.close()
        await self._feed.close()
        for making in self._runners.values():
            with suppress(Exception):
                await (await making).cleanup()
        await asyncio.gather(*(listener.close() for listener in self._listeners))

    def _audience(self) -> dict[str, float]:
        """Return how many look and listen, and what they lost."""
        return {
            "rtpipe_control_readers": self._feed.readers,
            "rtpipe_control_listeners": self._taps.listeners,
            "rtpipe_control_connections": sum(each.connections for each in self._listeners),
            "rtpipe_control_missed_events_total": self._feed.missed,
            "rtpipe_control_lost_audio_seconds_total": self._taps.lost_s,
        }

    async def _serve_privately(self) -> asyncio.BaseProtocol:
        return await self._served(guarded=False)

    async def _serve(self) -> asyncio.BaseProtocol:
        return await self._served(guarded=True)

    async def _served(self, *, guarded: bool) -> asyncio.BaseProtocol:
        """Return what serves a connection: by which socket it came says whether it is guarded."""
        if guarded not in self._runners:
            self._runners[guarded] = asyncio.ensure_future(self._made(guarded=guarded))
        runner = await asyncio.shield(self._runners[guarded])
        assert runner.server is not None
        return runner.server()

    async def _made(self, *, guarded: bool) -> web.AppRunner:
        await asyncio.to_thread(_load)
        from aiohttp import web

        from rtpipe_control.http.application import Application

        application = Application(
            self._pipeline, self._view, self._feed, self._taps, self._metrics, self.door
        )
        runner = web.AppRunner(
            application.made(guarded=guarded),
            access_log=None,
            logger=application.log,
            shutdown_timeout=_LEAVE_S,
            keepalive_timeout=SILENT_S,
            lingering_time=_LEAVE_S,
            max_headers=_MOST_FIELDS,
            max_field_size=_LONGEST_FIELD,
            max_line_size=_LONGEST_FIELD,
        )
        await runner.setup()
        return runner


def _load() -> None:
    """Import what serves HTTP: beside the event loop, which the audio needs."""
    import rtpipe_control.http.application  # noqa: F401 - for its import


def _show_link(link: str) -> None:
    """Show on the terminal, and nowhere else, where the page opens without a token.

    A terminal that is stopped (Ctrl-S) is not waited for: `rtpipe ctl NAME link` gives another.
    """
    with suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty() and _has_room(sys.stderr):
            sys.stderr.write(f"{_ERASE_LINE}the page opens once, within 10 minutes, at {link}\n")
            sys.stderr.flush()


def _has_room(stream: TextIO) -> bool:
    try:
        return bool(select.select([], [stream], [], 0)[1])
    except UnsupportedOperation:  # no file, as in a test
        return True


async def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    """Return the families and addresses of a host, each once.

    Raises:
        EnvironmentProblem: It has none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise EnvironmentProblem(f"`{host}` is no address of this computer: {why}") from error
    return list(dict.fromkeys((int(family), str(to[0])) for family, _, _, _, to in found))


def _bound_to(family: int, address: tuple[str, int], asked: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        EnvironmentProblem: The address cannot be had.
    """
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    try:
        at = socket.create_server(address, family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror or f"{error}")
        raise EnvironmentProblem(f"`{asked}` cannot be had: {why}") from error
    at.setblocking(False)  # noqa: FBT003 - its only way
    return at


_WHY = {
    errno.EADDRINUSE: (
        "another pipeline or program has that port; say another one, or 0 for any that is free"
    ),
    errno.EADDRNOTAVAIL: "this computer has no such address",
    errno.EACCES: "the system keeps ports below 1024 for itself; say a higher one",
}


def _tls(options: TlsOptions) -> ssl.SSLContext:
    """Return what a certificate is shown by.

    Raises:
        EnvironmentProblem: It cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    files: dict[str, os.PathLike[str]] = {"certificate": options.certificate, "key": options.key}
    for name, path in files.items():
        try:
            with open(path, "rb"):  # noqa: PTH123 - whether it can be read
                pass
        except OSError as error:
            raise EnvironmentProblem(f"tls.{name}: {path}: {error.strerror}") from error
    try:
        # A password would be asked for on the terminal, and hold the pipeline until it is typed.
        context.load_cert_chain(options.certificate, options.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise EnvironmentProblem(f"tls: no certificate with its key: {why}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password; write one without")
