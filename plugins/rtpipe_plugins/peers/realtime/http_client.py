"""HTTP with a server of calls: bodies that have an end, and what it means that no answer came."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rtpipe import EnvironmentProblem, reason_of
from rtpipe_plugins.network.addresses import shown
from rtpipe_plugins.network.http_bodies import said_in
from rtpipe_webrtc.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from rtpipe_plugins.peers.realtime.account import Account

BODY_LIMIT = 1_000_000
"""Bytes; an answer has about 2000."""
_NETWORK_HELP = (
    "is it the right address, and is the network up? HTTPS_PROXY names a proxy, where one leads out"
)


async def limited_text(response: aiohttp.ClientResponse) -> str | None:
    """Return the body; None when it is over the limit, of which no more is ever held.

    Of the body of an error that breaks off, what has come is returned: its status says enough.
    """
    from aiohttp import ClientPayloadError

    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(65_536):
            body += chunk
            if len(body) > BODY_LIMIT:
                return None
    except ClientPayloadError:
        if response.ok:
            raise
    try:
        return body.decode(response.charset or "utf-8", errors="replace")
    except (LookupError, UnicodeError):  # a charset that nobody knows
        return body.decode("utf-8", errors="replace")


def heeds_proxies(account: Account) -> bool:
    """Return whether the proxies of the environment lead to the account's server."""
    return not is_loopback(account.hostname)


def proxy_for(account: Account) -> str | None:
    """Return what to call the proxy on the way to the account's server, its password left out."""
    if not heeds_proxies(account) or proxy_bypass(account.hostname):
        return None
    scheme = urlsplit(account.base_url).scheme
    proxy = getproxies().get(scheme)
    return f"the proxy {shown(proxy)} ({scheme.upper()}_PROXY)" if proxy else None


def unreachable(
    account: Account, error: Exception, mask: Callable[[str], str], limit_s: float | None = None
) -> EnvironmentProblem:
    """Return what it means that no connection came about, or no answer over it.

    Args:
        account: Whose server was asked.
        error: Why.
        mask: Takes secrets out of what is quoted.
        limit_s: How long was waited, where `error` is a TimeoutError.
    """
    import aiohttp

    host, proxy = account.host, proxy_for(account)
    way = f" through {proxy}" if proxy else ""
    if isinstance(error, TimeoutError) and limit_s is not None:
        help = f"does {proxy} let us through?" if proxy else _NETWORK_HELP
        return EnvironmentProblem(f"no answer from {host}{way} within {limit_s:g} s", help=help)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(f"{host}{way}", error.certificate_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        words = mask(error.message)
        return EnvironmentProblem(
            f"cannot reach {host}: {proxy or 'the proxy'} answers {error.status} {words}".rstrip(),
            help="user and password of a proxy stand in its address; NO_PROXY lists the hosts "
            "that need none",
        )
    reason = mask(reason_of(error))
    if proxy:
        return EnvironmentProblem(
            f"cannot reach {host} through {proxy}: {reason}",
            help="is that proxy right? NO_PROXY lists the hosts that need none",
        )
    return EnvironmentProblem(f"cannot reach {host}: {reason}", help=_NETWORK_HELP)


def _untrusted(host: str, error: Exception) -> EnvironmentProblem:
    """Return what it means that a certificate is not believed."""
    reason = getattr(error, "verify_message", "") or reason_of(error)
    named = os.environ.get("SSL_CERT_FILE")
    if "mismatch" in reason:
        help = "the certificate is another host's: is base_url right?"
    elif "expired" in reason or "not yet valid" in reason:
        help = "is this machine's clock right?"
    elif named is None:
        help = "a certificate authority of your own is named by SSL_CERT_FILE=/path/to/ca.pem"
    else:
        readable = os.access(named, os.R_OK)
        state = "does not vouch for it" if readable else "cannot be read"
        help = f"SSL_CERT_FILE is {named}, which {state}"
    return EnvironmentProblem(f"the certificate of {host} is not trusted: {reason}", help=help)


def quoted(body: str, mask: Callable[[str], str]) -> str:
    """Return `: ` and what a body says, or nothing where it says nothing."""
    message = mask(said_in(mask(body)).message)
    return f": {message}" if message else ""
