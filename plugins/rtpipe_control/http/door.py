"""The door: who may enter, from where, and what for."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rtpipe_control.addresses import is_loopback, parse_address
from rtpipe_control.http.answers import Refused

if TYPE_CHECKING:
    from aiohttp import web

    from rtpipe_control.section import ControlOptions

COOKIE = "rtpipe"
_OPEN = {"/healthz", "/readyz"}
_LINK_S = 600.0
_SLOWED_S = 0.5
"""A wrong token is answered so much later: guessing is slow."""
_MOST_SLOWED = 32
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


class Door:
    """Decides about callers over TCP. Who comes by the private socket is the user himself.

    Args:
        options: The tokens, and the names it is reached by.
    """

    def __init__(self, options: ControlOptions) -> None:
        self._token = options.token.get_secret_value()
        self._view_token = options.view_token.get_secret_value()
        host, _ = parse_address(options.listen)
        self._names = {name.lower() for name in (*options.hosts, host)}
        if is_loopback(host) or host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            self._names |= set(_LOCAL_NAMES)
        self._by_name = not self._token
        self._links: dict[str, float] = {}
        self._cookies: dict[str, bool] = {}
        self._slowed = 0

    def link(self) -> str:
        """Return a word that opens the page once, within 10 minutes."""
        now = time.monotonic()
        self._links = {word: until for word, until in self._links.items() if until > now}
        word = secrets.token_urlsafe(24)
        self._links[word] = now + _LINK_S
        return word

    def link_to(self, page: str) -> str:
        """Return the address of `page` that opens it: with a word where a token is needed."""
        return f"{page}?link={self.link()}" if self._token else page

    def redeem(self, word: str) -> str | None:
        """Return a cookie for the word of a link, which is good once; None for a wrong one."""
        until = self._links.pop(word, 0.0)
        if until <= time.monotonic():
            return None
        cookie = secrets.token_urlsafe(24)
        self._cookies[cookie] = True
        return cookie

    async def check(self, request: web.Request) -> None:
        """See whether a caller may do what he asks for.

        Raises:
            Refused: He may not.
        """
        self._check_names(request)
        if request.path in _OPEN or not self._token:
            return
        changes = self._rights(request)
        if changes is None:
            await self._slow_down()
            raise Refused(
                401,
                "this needs a token",
                "send `Authorization: Bearer TOKEN`, or open the page by the link that "
                "`rtpipe ctl NAME link` prints",
            )
        if request.method not in {"GET", "HEAD"} and not changes:
            raise Refused(403, "this token may look, and change nothing", "use the other token")

    def _check_names(self, request: web.Request) -> None:
        """Refuse a name that is not ours (DNS rebinding), and the pages of other sites."""
        host = _name_of(f"//{request.headers.get('Host', '')}")
        if self._by_name and host not in self._names:
            raise Refused(
                403,
                f"`{host}` is no name of this kiosk",
                f'open it by another name, or add `hosts: ["{host}"]` to `control:`',
            )
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        changes = request.method not in {"GET", "HEAD"}
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("Host")
        if foreign or (changes and site not in {"same-origin", "none"}):
            raise Refused(403, "the page of another site asks for this", "use the kiosk's own page")

    def _rights(self, request: web.Request) -> bool | None:
        """Return whether a caller may change things; None where he may not even look."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            may_change = _same(shown.strip(), self._token)
            may_look = _same(shown.strip(), self._view_token)
            return True if may_change else False if may_look else None
        return self._cookies.get(request.cookies.get(COOKIE, ""))

    async def _slow_down(self) -> None:
        if self._slowed < _MOST_SLOWED:
            self._slowed += 1
            try:
                await asyncio.sleep(_SLOWED_S)
            finally:
                self._slowed -= 1


def _same(shown: str, token: str) -> bool:
    return bool(token) and hmac.compare_digest(shown.encode(), token.encode())


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
