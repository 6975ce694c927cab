"""Signalling with OpenAI's Realtime API: the HTTP around the offer and the answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.network.http_headers import retry_after_s, server_time_s
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer, SocketRequest
from rtpipe_plugins.peers.realtime.errors import CallRefused, CallUnavailable
from rtpipe_plugins.peers.realtime.http_client import BODY_LIMIT, limited_text, unreachable
from rtpipe_webrtc.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    import aiohttp

    from rtpipe_plugins.peers.realtime.account import Account

_HANG_UP_S = 1.5
_TEMPORARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_NO_HANGUP = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_CALL_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
_CODE = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: str
    location: str
    server_time_s: float | None


class RealtimeSignaling:
    """`POST /realtime/calls` and its relatives.

    With an API key the offer and the session travel together. With an ephemeral key (`ek_…`) the
    offer travels alone, since the key stands for a session chosen before.

    Args:
        account: Whose call.
        session: OpenAI's session object.
        ephemeral: Ask for an ephemeral key first and place the call with that.
        timeout_s: Limit of each request.
        mask: Takes secrets out of what the server says.
        log: The stage's.
    """

    def __init__(
        self,
        account: Account,
        session: Mapping[str, Any],
        *,
        ephemeral: bool,
        timeout_s: float,
        mask: Callable[[str], str],
        log: Logger,
    ) -> None:
        self._account = account
        self._session = session
        self._ephemeral = ephemeral
        self._timeout_s = timeout_s
        self._mask = mask
        self._log = log

    async def place(self, offer: str) -> SdpAnswer:
        """Send the SDP `offer`; see `Signaling.place`."""
        import aiohttp

        key = self._account.key.get_secret_value()
        if self._ephemeral and not self._account.has_ephemeral_key:
            key = await self._ephemeral_key()
        if key.startswith("ek_"):
            body: aiohttp.FormData | str = offer
            headers = {"Content-Type": "application/sdp"}
        else:
            body = aiohttp.FormData(default_to_multipart=True)
            body.add_field("sdp", offer, content_type="application/sdp")
            body.add_field("session", json.dumps(self._session), content_type="application/json")
            headers = {}
        reply = await self._post(
            "/realtime/calls",
            body,
            {**headers, "Accept": "application/sdp", "Authorization": f"Bearer {key}"},
        )
        if not reply.body.startswith("v=0"):
            raise CallRefused(
                f"{self._account.host} answered the offer with something that is not SDP",
                status=reply.status,
                help="is base_url the root of a Realtime API (…/v1)?",
            )
        call_id = reply.location.partition("?")[0].rstrip("/").rpartition("/")[2]
        known = _CALL_ID.fullmatch(call_id) is not None
        return SdpAnswer(reply.body, call_id if known else None, reply.server_time_s)

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
            headers = {"Authorization": f"Bearer {self._account.key.get_secret_value()}"}
        elif self._ephemeral:
            headers = {"Authorization": f"Bearer {await self._ephemeral_key()}"}
        else:
            headers = self._own_key()
        query = urlencode({"model": self._session["model"]})
        return SocketRequest(f"{self._account.base_url}/realtime?{query}", headers)

    def refusal(
        self, status: int, body: str, headers: Mapping[str, str]
    ) -> CallRefused | CallUnavailable:
        """See `Signaling.refusal`."""
        host = self._account.host
        message, code = _error_in(body)
        said = f": {self._mask(message)}" if message else ""
        if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return CallUnavailable(
                f"{host} cannot take the call now (HTTP {status}){said}",
                status=status,
                code=code,
                retry_after_s=retry_after_s(headers),
            )
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return CallRefused(
                f"{host} refuses the key (HTTP {status}){said}",
                status=status,
                code=code,
                exit_code=ExitCode.NO_PERMISSION,
                help="check `api_key`, or the variable it comes from; a key `ek_…` lasts minutes, "
                "and only `ephemeral: true` with an API key gets a fresh one for each call",
            )
        if status < HTTPStatus.BAD_REQUEST:
            return CallRefused(
                f"{host} sends us elsewhere (HTTP {status}), where no key will follow",
                status=status,
                help="set base_url to the API's final address",
            )
        return CallRefused(
            f"{host} refuses the call (HTTP {status}){said}",
            status=status,
            code=code,
            help="is base_url the root of a Realtime API (…/v1)?"
            if status == HTTPStatus.NOT_FOUND
            else None,
        )

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
                    trust_env=not is_loopback(self._account.hostname),
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
        return {"Authorization": f"Bearer {key}"}

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

        host = self._account.host
        url = self._account.base_url + path
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=timeout_s or self._timeout_s),
                    trust_env=not is_loopback(self._account.hostname),  # proxies, but not to here
                ) as client,
                # A redirect's Location would be taken for a call's, and the key must not follow it.
                client.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
                text = await limited_text(response)
                headers = response.headers
        except TimeoutError:
            raise EnvironmentProblem(
                f"no answer from {host} within {timeout_s or self._timeout_s:g} s",
                help="is it the right address, and is the network up?",
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(host, error, self._mask) from None
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise self.refusal(status, text or "", headers)
        if text is None:
            raise CallRefused(f"{host} sends more than {BODY_LIMIT} bytes", status=status)
        return _Reply(status, text, headers.get("Location", ""), server_time_s(headers))


def _error_in(body: str) -> tuple[str, str | None]:
    """Return the message and the code of OpenAI's error envelope; ("", None) of anything else."""
    try:
        error = json.loads(body)["error"]
        message, code = error.get("message"), error.get("code")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", None
    text = " ".join(message.split())[:300] if isinstance(message, str) else ""
    return text, code if isinstance(code, str) and _CODE.fullmatch(code) else None
