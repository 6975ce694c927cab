"""The application: what is answered under which path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rtpipe import StageError
from rtpipe_control.http.actions import Actions
from rtpipe_control.http.answers import Refused
from rtpipe_control.http.pages import Pages
from rtpipe_control.http.reloading import Reloads
from rtpipe_control.view.feed import MOST_READERS, Reader, piece
from rtpipe_control.view.listening import MOST_LISTENERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtpipe import Pipeline
    from rtpipe_control.http.door import Door
    from rtpipe_control.view.feed import Feed
    from rtpipe_control.view.listening import Form, Taps
    from rtpipe_control.view.metrics import Metrics
    from rtpipe_control.view.snapshot import View

_MOST_BODY = 64 * 1024
_FORMS: dict[str, Form] = {"wav": "wav", "mp3": "mp3"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
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
        door: Decides about those who come over TCP; None: nobody does.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        view: View,
        feed: Feed,
        taps: Taps,
        metrics: Metrics,
        door: Door | None,
    ) -> None:
        self._pipeline = pipeline
        self._taps = taps
        self._metrics = metrics
        self._view = view
        self._feed = feed
        self._door = door
        self._actions = Actions(pipeline)
        self._reloads = Reloads(pipeline)

    def made(self) -> web.Application:
        """Return it as aiohttp's."""
        made = web.Application(middlewares=[self._guard], client_max_size=_MOST_BODY)
        made.add_routes(
            [
                web.get("/api/pipeline", self._pipeline_now),
                web.get("/api/events", self._events),
                web.get("/api/stages/{stage}/listen", self._listen),
                web.post("/api/stages/{stage}/{action}", self._act),
                web.post("/api/reload", self._reload),
                web.post("/api/stop", self._stop),
                web.post("/api/link", self._link),
                web.get("/metrics", self._measures),
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
                *Pages().routes(),
            ]
        )
        return made

    # -- the door ----------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let in who may enter, and answer in words what is refused."""
        try:
            if self._door is not None and not _is_private(request):
                await self._door.check(request)
            response = await handler(request)
        except Refused as refused:
            response = self._json({"error": refused.error, "help": refused.help}, refused.status)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = self._json({"error": error.reason or "", "help": ""}, error.status)
        if not response.prepared:
            response.headers.update(
                {k: v for k, v in _HEADERS.items() if k not in response.headers}
            )
        return response

    def _json(self, value: Any, status: int = 200) -> web.Response:
        body = self._feed.json(value)
        return web.Response(body=body, status=status, content_type="application/json")

    # -- looking -----------------------------------------------------------------------------------

    async def _pipeline_now(self, request: web.Request) -> web.Response:
        if request.query.get("recent") == "0":
            return self._json(self._view.snapshot(recent=False))
        return web.Response(body=self._feed.snapshot(), content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        reader = Reader(
            query.getall("match", ["*"]),
            levels=query.get("levels") == "1",
            state=query.get("state") == "1",
        )
        if not self._feed.join(reader):
            raise Refused(503, f"{MOST_READERS} others read the events already", "try again later")
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            await response.write(piece("snapshot", self._feed.snapshot()))
            while (pieces := await reader.next()) is not None:
                await response.write(pieces)
            await response.write_eof()
        except ConnectionError:
            pass  # he has gone
        finally:
            self._feed.leave(reader)
        return response

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        """What a stage gives out, as a stream without end: WAV, or `?format=mp3`."""
        form = _FORMS.get(request.query.get("format", "wav"))
        if form is None:
            raise Refused(400, "there is no such format", "ask for `format=wav` or `format=mp3`")
        if self._taps.listeners >= MOST_LISTENERS:
            raise Refused(503, f"{MOST_LISTENERS} others listen already", "try again later")
        try:
            listener, leave = self._taps.join(request.match_info["stage"], form)
        except StageError as error:
            raise Refused(404, error.message, error.help or "") from error
        content = {"wav": "audio/wav", "mp3": "audio/mpeg"}[form]
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": content})
        try:
            await response.prepare(request)
            while (data := await listener.next()) is not None:
                await response.write(data)
            await response.write_eof()
        except ConnectionError:
            pass  # he has gone
        finally:
            leave()
        return response

    async def _measures(self, request: web.Request) -> web.Response:
        """The metrics, in the text format of Prometheus or, where asked for, of OpenMetrics."""
        body, content_type = self._metrics.exposed(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        ready = self._view.state == "running"
        return web.Response(text=f"{self._view.state}\n", status=200 if ready else 503)

    # -- steering ----------------------------------------------------------------------------------

    async def _act(self, request: web.Request) -> web.Response:
        info = request.match_info
        body = await _body(request)
        return self._json(await self._actions.perform(info["stage"], info["action"], body))

    async def _reload(self, request: web.Request) -> web.Response:
        status, answer = await self._reloads.reload(await _body(request))
        return self._json(answer, status)

    async def _stop(self, request: web.Request) -> web.Response:
        await _body(request)
        self._pipeline.stop("asked from outside")
        return self._json({"result": "stopping", "event": None})

    async def _link(self, request: web.Request) -> web.Response:
        """Answer with an address that opens the page once: to the user himself alone."""
        await _body(request)
        if not _is_private(request):
            raise Refused(
                403, "links are given on the private socket alone", "`rtpipe ctl NAME link`"
            )
        if self._door is None or not self._view.page:
            raise Refused(
                409, "this run has no page", "start it with `--control`, or `control:` in the file"
            )
        return self._json({"result": self._door.link_to(self._view.page), "event": None})


def _is_private(request: web.Request) -> bool:
    """Return whether a caller came by the private socket."""
    transport = request.transport
    return transport is None or isinstance(transport.get_extra_info("sockname"), (str, bytes))


async def _body(request: web.Request) -> Any:
    """Return the JSON that a POST carries; None where it carries nothing.

    Raises:
        Refused: It is no JSON, or does not say that it is: then it may be another site's form.
    """
    if request.content_type != "application/json":
        raise Refused(415, "a POST carries JSON", "send `Content-Type: application/json`")
    try:
        return json.loads(await request.read() or b"null")
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from error
