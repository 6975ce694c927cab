"""The page: files that stand beside this package, and the answers that carry them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from aiohttp import web

from rtpipe_control.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from importlib.resources.abc import Traversable

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # Asked for again each time, and answered by 304 while it is the same: a page never mixes
    # files of two versions.
    "Cache-Control": "no-cache",
    # Everything from here, nothing from markup: words of a conversation can become no program.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; img-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    type: str
    etag: str


class Pages:
    """Serves the files in the folder `page` of this package."""

    def __init__(self) -> None:
        root = files("rtpipe_control") / "page"
        self._files = {path: _read(file) for path, file in _walk(root, "")}

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered under which path."""
        return [
            web.get("/", self._named("index.html")),
            web.get("/captions", self._named("captions.html")),
            web.get("/page/{path:.+}", self._any),
        ]

    def _named(self, path: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            return self._answer(request, path)

        return answer

    async def _any(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, request.match_info["path"])

    def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        file = self._files.get(path)
        if file is None:
            raise Refused(404, "the page has no such file")
        headers = {**_HEADERS, "ETag": f'"{file.etag}"'}
        if any(tag.value in {file.etag, "*"} for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, headers={**headers, "Content-Type": file.type})


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif _suffix(entry.name) in _TYPES:
            yield f"{prefix}{entry.name}", entry


def _read(file: Traversable) -> _File:
    body = file.read_bytes()
    return _File(body, _TYPES[_suffix(file.name)], hashlib.sha256(body).hexdigest()[:32])


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
