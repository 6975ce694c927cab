"""The application: what is answered under which path."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rtpipe import StageError
from rtpipe_control.http.actions import Actions
from rtpipe_control.http.answers import Refused
from rtpipe_control.http.body import MOST_BYTES, body_of
from rtpipe_control.http.pages import Pages
from rtpipe_control.http.reloading import Reloads
from rtpipe_control.view.feed import MOST_READERS, Reader, piece
from rtpipe_control.view.listening import MOST_LISTENERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rtpipe import Pipeline
    from rtpipe_control.http.door import Door
    from rtpipe_control.view.encoders import Form
    from rtpipe_control.view.feed import Feed
    from rtpipe_control.view.listening import Taps
    from rtpipe_control.view.metrics import Metrics
    from rtpipe_control.view.snapshot import View

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FORMS: dict[str, Form] = {"wav": "wav", "mp3": "mp3"}
_CONTENT: dict[Form, str] = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_MOST_GLOBS = 20
_LONGEST_GLOB = 200
_STUCK_S = 30.0
"""One who has taken nothing for so long is sent away."""
_GATHERED_S = 0.1
"""Sound goes out so often, whatever the length of its frames."""
_HEADERS = {
    "Server": "rtpipe",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Application:
    """Answers for one running pipeline.

    Args:
        pipeline: The pipeline.
        view: What is shown of it.
        feed: Tells what happens in it.
        taps: Let others listen to it.
        metrics: Its figures.
        door: Decides about those who come over TCP.

    Attributes:
        log: Takes what the HTTP library has to say: about callers, so for a debug log alone.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        view: View,
        feed: Feed,
        taps: Taps,
        metrics: Metrics,
        door: Door,
    ) -> None:
        self._pipeline = pipeline
        self._taps = taps
        self._metrics = metrics
        self._view = view
        self._feed = feed
        self._door = door
        self._actions = Actions(pipeline)
        self._reloads = Reloads(pipeline)
        self._pages = Pages()
        self.log = logging.getLogger("rtpipe.control.http")
        if _quietly not in self.log.filters:
            self.log.addFilter(_quietly)

    def made(self, *, guarded: bool) -> web.Application:
        """Return it as aiohttp's.

        Args:
            guarded: Whether it is reached over TCP, through the door. By the private socket comes
                the user himself.
        """
        gates = [self._worded, self._through_the_door] if guarded else [self._worded]
        made = web.Application(middlewares=gates, client_max_size=MOST_BYTES)
        made.add_routes(self.routes())
        if not guarded:
            made.add_routes(self.private_routes())
        return made

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered under which path."""
        return [
            web.get("/api/pipeline", self._pipeline_now),
            web.get("/api/events", self._events),
            web.get("/api/stages/{stage}/listen", self._listen),
            web.post("/api/stages/{stage}/{action}", self._act),
            web.post("/api/reload", self._reload),
            web.post("/api/stop", self._stop),
            web.get("/metrics", self._measures),
            web.get("/healthz", self._alive),
            web.get("/readyz", self._ready),
            *self._pages.routes(),
        ]

    def private_routes(self) -> list[web.RouteDef]:
        """Return what is answered on the private socket alone."""
        return [web.post("/api/link", self._link)]

    # -- the door ----------------------------------------------------------------------------------

    @web.middleware
    async def _worded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer in words what is refused, and what fails."""
        allowed: Mapping[str, str] = {}
        try:
            response = await handler(request)
        except Refused as refused:
            response = self._refusal(refused)
        except web.HTTPMethodNotAllowed as error:
            methods = ", ".join(sorted(error.allowed_methods))
            allowed = {"Allow": methods}
            options = request.method == "OPTIONS" and "Origin" not in request.headers
            response = (
                web.Response(status=204)
                if options
                else self._refusal(
                    Refused(405, f"{_path(request)} takes no {error.method}", f"it takes {methods}")
                )
            )
        except web.HTTPNotFound:
            told = Refused(
                404, f"there is nothing at {_path(request)}", "docs/reference/http.md has all paths"
            )
            response = self._refusal(told)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = self._refusal(Refused(error.status, error.reason or "it cannot be answered"))
        except ConnectionError:
            raise
        except Exception as error:  # of ours, or in a description that a plugin gives
            text = self._pipeline.spec.masked(f"{type(error).__name__}: {error}")
            self.log.debug("%s failed: %s", request.path, text, exc_info=error)
            response = self._refusal(Refused(500, f"this failed: {text}"))
        if not response.prepared:
            for name, value in {**_HEADERS, **allowed}.items():
                response.headers.setdefault(name, value)
        return response

    @web.middleware
    async def _through_the_door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may enter; a link lets a browser in."""
        if request.path == "/" and request.method == "GET" and "link" in request.query:
            headers = await self._door.enter(request.query["link"])
            return web.Response(status=303, headers=headers)
        await self._door.check(request)
        return await handler(request)

    def _refusal(self, refused: Refused) -> web.Response:
        headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
        told = {"error": refused.error, "help": refused.help}
        return self._json(told, refused.status, headers)

    def _json(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        body = self._feed.json(value)
        return web.Response(
            body=body, status=status, headers=headers, content_type="application/json"
        )

    # -- looking -----------------------------------------------------------------------------------

    async def _pipeline_now(self, request: web.Request) -> web.Response:
        """The snapshot: stages, links, what happened lately; without that with `?recent=0`."""
        if request.query.get("recent") == "0":
            return self._json(self._view.snapshot(recent=False))
        await self._feed.prepare()
        return web.Response(body=self._feed.snapshot(), content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: `snapshot` first, then each `event` that `?match=GLOB` matches.

        With `levels=10` or `levels=4` also `levels`, so many times a second: RMS and peak of each
        stage since the last time (dBFS); events come with them then. With `state=1` also `state`,
        twice a second, and `condition`. `missed` tells how many events went because the reader was
        too slow, `end` that the pipeline is over.
        """
        query = request.query
        globs = query.getall("match", ["*"])
        if len(globs) > _MOST_GLOBS or any(len(glob) > _LONGEST_GLOB for glob in globs):
            raise Refused(400, "these are too many events to match", "one glob stands for many")
        response = _streamed("text/event-stream")
        if request.method == "HEAD":
            return response
        levels = {"4": 4, "10": 10}.get(query.get("levels", ""), 0)
        reader = Reader(globs, levels=levels, state=query.get("state") == "1")
        if not self._feed.join(reader):
            raise Refused(503, f"{MOST_READERS} others read the events already", "try again later")
        try:
            await response.prepare(request)
            await self._feed.prepare()
            reader.forget()
            await _write(response, piece("snapshot", self._feed.snapshot()))
            while (pieces := await reader.next()) is not None:
                await _write(response, pieces)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            _drop(request)
        finally:
            self._feed.leave(reader)
        return response

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        """What a stage gives out, as a stream without end: WAV, or `?format=mp3`.

        Silence stands for what does not come. One who does not read loses the oldest sound.
        """
        form = _FORMS.get(request.query.get("format", "wav"))
        if form is None:
            raise Refused(400, "there is no such format", "ask for `format=wav` or `format=mp3`")
        stage = request.match_info["stage"]
        response = _streamed(_CONTENT[form])
        if request.method == "HEAD":
            return response
        if self._taps.listeners >= MOST_LISTENERS:
            raise Refused(503, f"{MOST_LISTENERS} others listen already", "try again later")
        try:
            listener, leave = self._taps.join(stage, form)
        except StageError as error:
            raise Refused(404, error.message, error.help or "") from error
        try:
            await response.prepare(request)
            while (data := await listener.next()) is not None:
                await _write(response, data)
                await asyncio.sleep(_GATHERED_S)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            _drop(request)
        finally:
            leave()
        return response

    async def _measures(self, request: web.Request) -> web.Response:
        """The metrics, in the text format of Prometheus or, where asked for, of OpenMetrics."""
        await asyncio.to_thread(import_module, "prometheus_client")  # at the first time
        body, content_type = self._metrics.exposed(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _alive(self, _: web.Request) -> web.Response:
        """200 as long as the process answers. Needs no token."""
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        """200 while every stage is open and no stop was asked for, else 503. Needs no token."""
        ready = self._view.state == "running"
        return web.Response(text=f"{self._view.state}\n", status=200 if ready else 503)

    # -- steering ----------------------------------------------------------------------------------

    async def _act(self, request: web.Request) -> web.Response:
        """Carries out an action: `{"gain_db": -6}`, `{"args": [-6]}`, or `{}`.

        The answer has what it returned, and the event that tells its outcome: for one that comes
        later it waits up to 2 s. 400: the arguments do not fit; 404: there is no such action; 409:
        it cannot be done now; then nothing has happened.
        """
        info = request.match_info
        body = await body_of(request)
        return self._json(await self._actions.perform(info["stage"], info["action"], body))

    async def _reload(self, request: web.Request) -> web.Response:
        """Reads the files again and changes what they change: `{}` or `{"when": "now"}`.

        The answer is the plan: what changes, how, and what is heard of it. `{"dry_run": true}`
        changes nothing; `{"when": "pause"}` answers at once and waits until nobody speaks. 409: it
        cannot be reloaded now; 422: the file is wrong, its `diagnostics` say where.
        """
        status, answer = await self._reloads.reload(await body_of(request))
        return self._json(answer, status)

    async def _stop(self, request: web.Request) -> web.Response:
        """Stops the pipeline as Ctrl-C does: what is queued plays to its end."""
        await body_of(request)
        self._actions.stop()
        return self._json({"result": "stopping", "event": None})

    async def _link(self, request: web.Request) -> web.Response:
        """Gives an address that opens the page once, within 10 minutes; on the socket alone."""
        await body_of(request)
        if not self._view.page:
            raise Refused(
                409,
                "this run has no page",
                "start it with `rtpipe run FILE --control`, or a section `control:`",
            )
        return self._json({"result": self._door.link_to(self._view.page), "event": None})


def _quietly(record: logging.LogRecord) -> bool:
    """Let what is told of a caller be heard in a debug log alone: he may say what he likes."""
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return logging.getLogger("rtpipe").isEnabledFor(logging.DEBUG)


def _streamed(content_type: str) -> web.StreamResponse:
    """Return an answer without an end."""
    headers = {**_HEADERS, "Content-Type": content_type, "Accept-Ranges": "none"}
    response = web.StreamResponse(headers=headers)
    response.force_close()  # what comes behind it on its connection would wait for ever
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Send a part of an answer.

    Raises:
        ConnectionError: The caller has gone.
        TimeoutError: He has taken nothing for too long.
    """
    async with asyncio.timeout(_STUCK_S):
        await response.write(data)


def _drop(request: web.Request) -> None:
    """End a connection at once, with what waits in it."""
    if request.transport is not None:
        request.transport.abort()


def _path(request: web.Request) -> str:
    path = request.path
    return f"`{path if len(path) <= 60 else f'{path[:59]}…'}`"
