"""The door: who may enter, from where, and what for."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rtpipe_control.addresses import is_anywhere, is_loopback, parse_address
from rtpipe_control.http.answers import Refused

if TYPE_CHECKING:
    from aiohttp import web

    from rtpipe_control.section import ControlOptions

_OPEN = {"/healthz", "/readyz"}
"""Open to all: that something runs here is what a supervisor asks, and tells nobody more."""
_LOOKS = {"GET", "HEAD"}
_LINK_S = 600.0
_COOKIE_S = 12 * 3600.0
_MOST_LINKS = 20
_MOST_COOKIES = 20
_SLOWED_S = 0.5
"""A wrong token is answered so much later: guessing is slow."""
_MOST_SLOWED = 32
"""So many wait to be told; others are told at once to come later, without a look at their token."""
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


class Door:
    """Decides about callers over TCP. Who comes by the private socket is the user himself.

    Args:
        options: The tokens, and the names it is reached by; None: nobody comes over TCP.

    Attributes:
        port: Where callers come, once that is known.
    """

    def __init__(self, options: ControlOptions | None) -> None:
        self._token = self._view_token = ""
        self._secure = False
        self._extra: set[str] = set()
        self._names: set[str] = set()
        self.port = 0
        if options is not None:
            self._token = options.token.get_secret_value()
            self._view_token = options.view_token.get_secret_value()
            self._secure = options.tls is not None
            host, self.port = parse_address(options.listen)
            self._extra = {_plain(name) for name in options.hosts}
            self._names = {*self._extra, _plain(host)}
            if is_loopback(host) or is_anywhere(host):
                self._names |= set(_LOCAL_NAMES)
        self._links: dict[str, float] = {}
        self._cookies: dict[str, float] = {}
        self._slowed = 0

    @property
    def cookie(self) -> str:
        """The name of the cookie: by its port, since a browser keeps all ports' together."""
        return f"rtpipe_{self.port}"

    @property
    def asks_for_a_token(self) -> bool:
        """Whether one needs a token, or a link, to come in."""
        return bool(self._token)

    # -- the one-time link -----------------------------------------------------------------------

    def link_to(self, page: str) -> str:
        """Return the address of `page` that opens it: once, where a token is asked for."""
        return f"{page}?link={self.link()}" if self._token else page

    def link(self) -> str:
        """Return a word that opens the page once, within 10 minutes."""
        word = secrets.token_urlsafe(24)
        _remember(self._links, word, _LINK_S, _MOST_LINKS)
        return word

    async def enter(self, word: str) -> dict[str, str]:
        """Return the headers of an answer that lets a browser in for the word of a link.

        Raises:
            Refused: The word is wrong, old, or was used.
        """
        if self._links.pop(word, 0.0) <= time.monotonic():
            await self._slow_down()
            raise Refused(
                401,
                "this link is used up, too old or wrong",
                "`rtpipe ctl NAME link` prints another one",
            )
        cookie = secrets.token_urlsafe(24)
        _remember(self._cookies, cookie, _COOKIE_S, _MOST_COOKIES)
        attributes = f"Path=/; Max-Age={_COOKIE_S:.0f}; HttpOnly; SameSite=Strict"
        secure = "; Secure" if self._secure else ""
        return {
            "Location": "/",
            "Set-Cookie": f"{self.cookie}={cookie}; {attributes}{secure}",
        }

    # -- every request ---------------------------------------------------------------------------

    async def check(self, request: web.Request) -> None:
        """See whether a caller may do what he asks for.

        Raises:
            Refused: He may not.
        """
        looks = request.method in _LOOKS
        if request.path in _OPEN and looks:
            return
        self._check_name(request)
        self._check_site(request, looks=looks)
        if not self._token:
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
        if not looks and not changes:
            raise Refused(403, "this token may look, and change nothing", "use the other token")

    def _check_name(self, request: web.Request) -> None:
        """Refuse a name that is not ours, where no token guards (DNS rebinding).

        A page that another site's name was bent to sends no token and has no cookie of ours; where
        a token is asked for, the names and addresses of this machine need not be known.
        """
        if self._token:
            return
        host = _name_of(f"//{request.headers.get('Host', '')}")
        if host not in self._names:
            shown = f"`{host}` is" if host else "that is"
            raise Refused(
                403,
                f"{shown} no name of this pipeline's page",
                "open it by the address that `rtpipe run` shows, or add the name to `hosts:` of "
                "`control:`",
            )

    def _check_site(self, request: web.Request, *, looks: bool) -> None:
        """Refuse what the page of another site asks for; a link on one may lead to the page."""
        headers = request.headers
        origin = headers.get("Origin")
        site = headers.get("Sec-Fetch-Site", "none")
        led_here = (
            looks
            and headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest") == "document"
        )
        ours = origin is None or (
            _place_of(origin) == _place_of(f"//{headers.get('Host', '')}")
            or _name_of(origin) in self._extra
        )
        if not ours or (site not in {"same-origin", "none"} and not led_here):
            raise Refused(
                403, "the page of another site asks for this", "use the pipeline's own page"
            )

    def _rights(self, request: web.Request) -> bool | None:
        """Return whether a caller may change things; None where he may not even look."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            may_change = _same(shown.strip(), self._token)
            may_look = _same(shown.strip(), self._view_token)
            return True if may_change else False if may_look else None
        until = self._cookies.get(request.cookies.get(self.cookie, ""), 0.0)
        return True if until > time.monotonic() else None

    async def _slow_down(self) -> None:
        """Let a caller wait who showed something wrong.

        Raises:
            Refused: Too many wait already.
        """
        if self._slowed >= _MOST_SLOWED:
            raise Refused(429, "too many wrong tokens were shown", "try again in a second")
        self._slowed += 1
        try:
            await asyncio.sleep(_SLOWED_S)
        finally:
            self._slowed -= 1


def _remember(words: dict[str, float], word: str, seconds: float, most: int) -> None:
    """Let a word be good for some time; the oldest goes where there are too many."""
    now = time.monotonic()
    for old in [each for each, until in words.items() if until <= now]:
        del words[old]
    while len(words) >= most:
        del words[next(iter(words))]
    words[word] = now + seconds


def _same(shown: str, token: str) -> bool:
    given, wanted = (text.encode("utf-8", "surrogateescape") for text in (shown, token))
    return bool(token) and hmac.compare_digest(given, wanted)


def _plain(name: str) -> str:
    return name.lower().rstrip(".").strip("[]")


def _name_of(url: str) -> str:
    try:
        return _plain(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _place_of(url: str) -> str:
    """Return name and port of a URL, as a browser writes both into Origin and Host."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
