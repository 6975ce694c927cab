"""Signalling with OpenAI's Realtime API: the HTTP around the offer and the answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rtpipe import EnvironmentProblem, ExitCode, NotConnected
from rtpipe.errors import on_one_line
from rtpipe_plugins.network.addresses import shown
from rtpipe_plugins.network.http_bodies import said_in
from rtpipe_plugins.network.http_headers import retry_after_s, server_time_s
from rtpipe_plugins.peers.realtime.account import OPENAI, bearer, missing_key
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer, SocketRequest
from rtpipe_plugins.peers.realtime.errors import (
    FATAL_CODES,
    MODEL_CODES,
    CallRefused,
    CallUnavailable,
    permanent,
)
from rtpipe_plugins.peers.realtime.http_client import (
    BODY_LIMIT,
    heeds_proxies,
    limited_text,
    proxy_for,
    quoted,
    unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    import aiohttp

    from rtpipe_plugins.network.http_bodies import Said
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.errors import NoKey

_HANG_UP_S = 1.5
_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_TEMPORARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_NO_HANGUP = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_UNREADABLE = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""What a server says that cannot read a request; also one that does not like what it reads."""
_CALL_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
_CLOSE_REASON = re.compile(r"(\w+_error)\.([\w-]+)", re.ASCII)
_POLICY = 1008
_CLOSED_FOR_GOOD = {
    _POLICY: ExitCode.CONFIGURATION,  # if it says which
    3000: ExitCode.NO_PERMISSION,
    3003: ExitCode.NO_PERMISSION,
    4401: ExitCode.NO_PERMISSION,
    4403: ExitCode.NO_PERMISSION,
    4404: ExitCode.CONFIGURATION,
}
"""Codes by which a WebSocket is closed for what no further call can change: RFC 6455, IANA's
register, and HTTP's with 4000 added, as many servers do."""
_PASSES = re.compile(
    r"expire|time|idle|inactiv|duration|limit|rate|too many|capacity|overload|busy|slot|in use"
    r"|again|restart|shut|maintenance|concurren",
    re.IGNORECASE,
)
_FAREWELLS = {1000, 1001}


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: str
    location: str
    server_time_s: float | None

    @property
    def sdp(self) -> str | None:
        """The body, if it is SDP."""
        sdp = self.body.lstrip("\ufeff \t\r\n")
        return sdp if sdp.startswith("v=0") else None


class OfferForm:
    """How a server takes an offer, learnt from its answers and kept for the calls that follow.

    Args:
        account: Whose server.
    """

    def __init__(self, account: Account) -> None:
        self.plain: bool | None = False if account.base_url == OPENAI else None
        """Whether as SDP alone, without the session beside it; None while that is not known."""


class RealtimeSignaling:
    """`POST /realtime/calls` and its relatives.

    With an API key the offer and the session travel together, as `multipart/form-data`. With an
    ephemeral key (`ek_…`) the offer travels alone, since the key stands for a session chosen
    before; and alone it goes to a server that does not read the other form, which is given the
    session in the call.

    Args:
        account: Whose call.
        session: OpenAI's session object.
        form: How the server takes an offer, as far as calls before have shown.
        ephemeral: Ask for an ephemeral key first and place the call with that.
        timeout_s: Limit of each request.
        mask: Takes secrets out of what the server says.
        log: The stage's.
    """

    def __init__(
        self,
        account: Account,
        session: Mapping[str, Any],
        form: OfferForm,
        *,
        ephemeral: bool,
        timeout_s: float,
        mask: Callable[[str], str],
        log: Logger,
    ) -> None:
        self._account = account
        self._session = session
        self._form = form
        self._ephemeral = ephemeral
        self._timeout_s = timeout_s
        self._mask = mask
        self._log = log

    async def place(self, offer: str) -> SdpAnswer:
        """Send the SDP `offer`; see `Signaling.place`."""
        key = self._account.key.get_secret_value()
        if self._ephemeral and not self._account.has_ephemeral_key:
            key = await self._ephemeral_key()
        if key.startswith("ek_"):
            reply = await self._place_alone(offer, key, "/realtime/calls")
        else:
            reply = await self._place_in_either_form(offer, key)
        call_id = reply.location.partition("?")[0].rstrip("/").rpartition("/")[2]
        known = _CALL_ID.fullmatch(call_id) is not None
        return SdpAnswer(reply.sdp or "", call_id if known else None, reply.server_time_s)

    async def _place_in_either_form(self, offer: str, key: str) -> _Reply:
        """Place the call in the form that the server is known to take, or find out which it is."""
        alone = f"/realtime/calls?{urlencode({'model': self._session['model']})}"
        if self._form.plain:
            return await self._place_alone(offer, key, alone)
        try:
            reply = await self._place_with_session(offer, key)
        except CallRefused as refused:
            if self._form.plain is False or not _perhaps_unread(refused):
                raise
            try:
                reply = await self._place_alone(offer, key, alone)
            except CallRefused as again:
                raise self._both_refused(refused, again) from None
            self._log.info(
                "%s takes an offer as SDP alone (HTTP %d to the other form): "
                "the session is asked for in the call",
                self._account.host,
                refused.status,
            )
            self._form.plain = True
        else:
            self._form.plain = False
        return reply

    async def _place_with_session(self, offer: str, key: str) -> _Reply:
        import aiohttp

        body = aiohttp.FormData(default_to_multipart=True)
        body.add_field("sdp", offer, content_type="application/sdp")
        body.add_field("session", json.dumps(self._session), content_type="application/json")
        return await self._answer("/realtime/calls", body, {}, key)

    async def _place_alone(self, offer: str, key: str, path: str) -> _Reply:
        return await self._answer(path, offer, {"Content-Type": "application/sdp"}, key)

    async def _answer(
        self, path: str, body: aiohttp.FormData | str, headers: Mapping[str, str], key: str
    ) -> _Reply:
        """Return the server's answer to an offer, which is SDP."""
        common = {"Accept": "application/sdp", **bearer(key)}
        reply = await self._post(path, body, {**headers, **common})
        if reply.sdp is None:
            what = quoted(reply.body, self._mask)
            what = f"something that is not SDP{what}" if reply.body.strip() else "nothing, not SDP"
            raise CallRefused(
                f"{self._account.host} answered the offer (HTTP {reply.status}) with {what}",
                status=reply.status,
                help="is base_url the root of a Realtime API (…/v1)?",
            )
        return reply

    def _both_refused(self, refused: CallRefused, again: CallRefused) -> CallRefused:
        """Return what it means that neither form was taken: the words that matter, or both."""
        unread = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if refused.status == unread and again.status != unread:
            return again
        words = again.message.removeprefix(f"{self._account.host} ")
        if again.status == unread or again.status not in _UNREADABLE or words in refused.message:
            return refused
        return CallRefused(
            f"{refused.message}; as SDP alone it {words}",
            status=refused.status,
            code=refused.code,
            help=refused.help,
            exit_code=refused.exit_code,
        )

    async def hang_up(self, call_id: str) -> None:
        """End the call at the server too, so that it does not wait for us to vanish."""
        call = f"/realtime/calls/{call_id}"
        try:
            await self._post(f"{call}/hangup", "", self._own_key(), timeout_s=_HANG_UP_S)
        except (CallRefused, EnvironmentProblem) as error:
            # The call ends with its media anyway.
            self._log.debug("hanging up %s: %s", call_id, error)
            if isinstance(error, CallRefused) and error.status in _NO_HANGUP:
                await self._delete(call)

    async def socket(self) -> SocketRequest:
        """Return what opens `…/realtime?model=`; see `Signaling.socket`."""
        if self._account.has_ephemeral_key:
            headers = bearer(self._account.key.get_secret_value())
        elif self._ephemeral:
            headers = bearer(await self._ephemeral_key())
        else:
            headers = self._own_key()
        query = urlencode({"model": self._session["model"]})
        return SocketRequest(f"{self._account.base_url}/realtime?{query}", headers)

    def refusal(
        self, status: int, body: str, headers: Mapping[str, str]
    ) -> CallRefused | CallUnavailable | NoKey:
        """See `Signaling.refusal`."""
        host, said = self._account.host, said_in(self._mask(body))
        words = quoted(body, self._mask)
        if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            pause_s = retry_after_s(headers)
            wish = "" if pause_s is None else f"; it wants no call for {pause_s:.0f} s"
            return CallUnavailable(
                f"{host} cannot take the call now (HTTP {status}){words}{wish}",
                status=status,
                code=said.code,
                retry_after_s=pause_s,
            )
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            where = on_one_line(shown(self._mask(headers.get("Location", ""))), 200)
            return CallRefused(
                f"{host} sends us elsewhere (HTTP {status}{where and f', to {where}'}), "
                "where no key will follow",
                status=status,
                help="set base_url to the API's final address",
            )
        if status in _DENIED and not self._account.key.get_secret_value():
            wants = f", and {host} wants one (HTTP {status}){words}"
            return missing_key(self._account.provider, wants)
        problem, exit_code, help = self._meaning(status, said)
        return CallRefused(
            f"{host} {problem} (HTTP {status}){words}",
            status=status,
            code=said.code,
            param=said.param,
            exit_code=exit_code,
            help=help,
        )

    def _meaning(self, status: int, said: Said) -> tuple[str, ExitCode, str | None]:
        """Return what a refusal is about, what it ends with, and what can be done."""
        model = self._session["model"]
        named = re.search(rf"(?<![\w.-]){re.escape(model)}(?![\w-])", said.message)
        about_model = named is not None and status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
        proxy = proxy_for(self._account)
        if said.code in MODEL_CODES or about_model:
            help = f"check `model`; {self._account.base_url}/models lists what a key may use"
            return f"has no model {model} for this key", ExitCode.CONFIGURATION, help
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            help = "user and password of a proxy stand in its address"
            return f"is behind {proxy or 'a proxy'}, which refuses us", ExitCode.NO_PERMISSION, help
        if status in _DENIED:
            exit_code = FATAL_CODES.get(said.code or "", ExitCode.NO_PERMISSION)
            help = (
                "check `api_key`, or the variable it comes from; a key `ek_…` lasts minutes, and "
                "only `ephemeral: true` with an API key gets a fresh one for each call"
            )
            if status == HTTPStatus.FORBIDDEN and proxy:
                help += f"; or {proxy} does not let us through"
            return "refuses the key", exit_code, help
        help = "is base_url the root of a Realtime API (…/v1)?"
        exit_code = FATAL_CODES.get(said.code or "", ExitCode.CONFIGURATION)
        return "refuses the call", exit_code, help if status == HTTPStatus.NOT_FOUND else None

    def closed(self, code: int | None, reason: str, *, stood: bool) -> CallRefused | NotConnected:
        """See `Signaling.closed`."""
        said = said_in(self._mask(reason))
        words = self._mask(said.message)
        what = f"the server has closed the WebSocket ({code}{words and f': {words}'})"
        named = _CLOSE_REASON.fullmatch(reason.strip())
        kind, error = (named[1], named[2]) if named else (said.type, said.code)
        if code in _FAREWELLS or error == "session_expired":
            return NotConnected(what)
        exit_code = permanent(error, kind, words)
        if exit_code is None and words and not _PASSES.search(words):
            asked_wrong = kind == "invalid_request_error"
            # In a conversation a policy may be about what was said last, not about the call.
            lasting = None if code == _POLICY and stood else _CLOSED_FOR_GOOD.get(code or 0)
            exit_code = ExitCode.CONFIGURATION if asked_wrong else lasting
        if exit_code is None:
            return NotConnected(what)
        return CallRefused(what, code=error, exit_code=exit_code)

    async def _ephemeral_key(self) -> str:
        body = json.dumps({"session": self._session})
        headers = {**self._own_key(), "Content-Type": "application/json"}
        reply = await self._post("/realtime/client_secrets", body, headers)
        try:
            key = json.loads(reply.body)["value"]
        except (ValueError, LookupError, TypeError, RecursionError):
            key = None
        if not isinstance(key, str) or not key.startswith("ek_"):
            raise CallRefused(
                f"{self._account.host} gave no ephemeral key where one was asked for",
                status=reply.status,
            )
        return key

    async def _delete(self, path: str) -> None:
        """End a call as servers want it that have no `hangup`: by its address."""
        import aiohttp

        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=_HANG_UP_S),
                    trust_env=heeds_proxies(self._account),
                ) as client,
                client.delete(self._account.base_url + path, headers=self._own_key()) as response,
            ):
                self._log.debug("%s: deleted (HTTP %d)", path, response.status)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._log.debug("%s: not deleted: %r", path, error)

    def _own_key(self) -> dict[str, str]:
        key = self._account.key.get_secret_value()
        if self._account.provider == "azure":
            return {"api-key": key}
        return bearer(key)

    async def _post(
        self,
        path: str,
        body: aiohttp.FormData | str,
        headers: Mapping[str, str],
        *,
        timeout_s: float | None = None,
    ) -> _Reply:
        """Return the reply to a successful request; everything else is a typed error."""
        import aiohttp

        url = self._account.base_url + path
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=timeout_s or self._timeout_s),
                    trust_env=heeds_proxies(self._account),
                ) as client,
                # A redirect's Location would be taken for a call's, and the key must not follow it.
                client.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
                text = await limited_text(response)
                headers = response.headers
        except (aiohttp.ClientError, OSError) as error:
            limit_s = timeout_s or self._timeout_s
            raise unreachable(self._account, error, self._mask, limit_s) from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise self.refusal(status, text or "", headers)
        if text is None:
            host = self._account.host
            raise CallRefused(f"{host} sends more than {BODY_LIMIT} bytes", status=status)
        return _Reply(status, text, headers.get("Location", ""), server_time_s(headers))


def _perhaps_unread(refused: CallRefused) -> bool:
    """Return whether a server may have refused the form of a request, not what is in it."""
    named = refused.param or refused.code in FATAL_CODES or refused.code == "invalid_offer"
    return refused.status in _UNREADABLE and not named
