"""The page about the HTTP interface of a running pipeline, from its routes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from rtpipe_control.http.application import Application
from tools.reference.markdown import fenced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiohttp import web

_PAGES = {
    "/": "The page. With `?link=WORD` of a one-time link: a cookie, and the page.",
    "/captions": "What is said now, in large type.",
    "/page/{path:.+}": "What the page is made of.",
}
"""What is a file, and no method with a docstring."""


def http_page() -> Iterator[str]:
    """Yield the paragraphs about what is answered under which path."""
    none: Any = None
    application = Application(none, none, none, none, none, none)
    yield "# HTTP"
    yield (
        "What a running pipeline answers: on its private socket "
        "`$XDG_RUNTIME_DIR/rtpipe/NAME.sock`, which its user alone can call, and, with "
        "`rtpipe run FILE --control` or a section [`control:`](sections.md#control), over TCP. "
        "[ADR 36](../adr/0036-a-private-socket-and-one-surface.md) says who is trusted."
    )
    yield fenced(
        "curl -s --unix-socket $XDG_RUNTIME_DIR/rtpipe/kiosk.sock http://kiosk/api/pipeline\n"
        "curl -s -H 'Authorization: Bearer TOKEN' http://127.0.0.1:8080/api/pipeline",
        "sh",
    )
    yield (
        'What is refused is told in words: `{"error": …, "help": …}` with a status of 400 or '
        "more. A POST carries JSON (`Content-Type: application/json`), 64 kB at most. `GET` also "
        "answers `HEAD`."
    )
    yield from _routes(application.routes())
    yield "## On the private socket alone"
    yield from _routes(application.private_routes())


def _routes(routes: Sequence[web.RouteDef]) -> Iterator[str]:
    for route in routes:
        yield f"### {route.method} `{route.path}`"
        told = inspect.getdoc(cast("Any", route.handler)) or _PAGES.get(route.path)
        if told is None:
            raise SystemExit(f"{route.method} {route.path} has no docstring")
        yield told
