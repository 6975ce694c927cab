"""HTTP with a server of calls: bodies that have an end, and what it means that no answer came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

BODY_LIMIT = 1_000_000
"""Bytes; an answer has about 2000."""


async def limited_text(response: aiohttp.ClientResponse) -> str | None:
    """Return the body; None when it is over the limit, of which no more is ever held."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > BODY_LIMIT:
            return None
    return body.decode("utf-8", errors="replace")


def unreachable(host: str, error: Exception, mask: Callable[[str], str]) -> EnvironmentProblem:
    """Return what it means that no connection came about."""
    return EnvironmentProblem(
        f"cannot reach {host}: {mask(reason_of(error))}",
        help="is it the right address, and is the network up?",
    )
