"""Which web pages may use the server, and by which names it may be reached (CORS, DNS rebinding).

A browser lets any page send requests to this machine, and says in `Origin` which page it was. A
page whose own name was made to point here says that name in `Host`. What is no browser sends no
`Origin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rtpipe_realtime_server.session.rejection import Rejected
from rtpipe_webrtc.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

ANY = "*"
_NONE = "null"
"""What a browser calls the origin of a file, or of a page in a sandbox: it may be any page's."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origins:
    """Decides who may ask.

    Args:
        allowed: Origins beside those on loopback: `https://kiosk.example:8443`, `null`, or `*`.
        host: What the server listens on. If that is a loopback address, no other name leads here.

    Raises:
        ValueError: One of `allowed` is no origin.
    """

    def __init__(self, allowed: Iterable[str], host: str) -> None:
        given = list(allowed)
        self._any = ANY in given
        self._allowed = {origin(each) for each in given if each != ANY}
        self._local = is_loopback(host)
        names = (urlsplit(each).hostname for each in self._allowed)
        self._names = {host.lower(), *(name for name in names if name)}

    def check(self, request: web.Request) -> str | None:
        """Return the origin that the answer is to name, None for a client that is no web page.

        Raises:
            Rejected: The page may not use the server, or came by a name that is not its own.
        """
        self._check_host(request.headers.get("Host"))
        given = request.headers.get("Origin")
        if given is None or self._any or self._knows(given):
            return given
        raise Rejected(
            f"The origin '{given}' may not use this server; `--allow-origin {given}` would let it.",
            code="origin_not_allowed",
            status=403,
        )

    def _knows(self, given: str) -> bool:
        try:
            asked = origin(given)
        except ValueError:
            return False
        return asked in self._allowed or (asked != _NONE and _local(urlsplit(asked).hostname))

    def _check_host(self, given: str | None) -> None:
        if given is None or self._any or not self._local:
            return
        try:
            name = urlsplit(f"//{given}").hostname
        except ValueError:
            name = None
        if not _local(name) and name not in self._names:
            raise Rejected(
                f"This server does not answer to '{given}'; `--allow-origin http://{given}` would "
                "make it.",
                code="host_not_allowed",
                status=403,
            )


def origin(given: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        ValueError: It is none.
    """
    if given == _NONE:
        return given
    parts = urlsplit(given.lower().removesuffix("/"))
    if (
        not parts.scheme
        or not parts.hostname
        or f"{parts.scheme}://{parts.netloc}" != parts.geturl()
    ):
        raise ValueError(f"'{given}' is no origin: it looks like https://kiosk.example:8443")
    if "@" in parts.netloc:
        raise ValueError(f"'{given}' is no origin: it has no user")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{name}" if default else f"{parts.scheme}://{name}:{parts.port}"


def _local(name: str | None) -> bool:
    return name is not None and (is_loopback(name) or name.endswith(".localhost"))
