"""Addresses on the network: what may be printed of one, and what went wrong behind it."""

from __future__ import annotations

from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, PlainSerializer

from rtpipe import EnvironmentProblem, ExitCode, reason_of


def shown(url: str) -> str:
    """Return `url` without user, password and query: what may be printed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    secret, _, host = parts.netloc.rpartition("@")
    masked = "***@" if secret else ""
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{masked}{host}{parts.path}{query}"


Address: TypeAlias = Annotated[str, PlainSerializer(shown), Field(repr=False)]
"""The type of an option that holds an address, perhaps with a password in it."""


def problem(error: Exception, timeout_s: float) -> str:
    """Return what went wrong; never the text of the error, which names the whole address."""
    from av.error import ExitError

    if isinstance(error, (ExitError, TimeoutError)):
        return f"nothing moved for {timeout_s:g} s"
    return reason_of(error, own_text=False)


def unreachable(url: str, error: Exception, timeout_s: float) -> EnvironmentProblem:
    """Return what to raise when an address cannot be opened."""
    from av.error import HTTPForbiddenError, HTTPUnauthorizedError

    if isinstance(error, (HTTPUnauthorizedError, HTTPForbiddenError)):
        return EnvironmentProblem(
            f"{shown(url)} refuses the user or the password",
            help="write them into the address, %-encoded: rtsp://user:password@host/path",
            exit_code=ExitCode.NO_PERMISSION,
        )
    return EnvironmentProblem(f"cannot reach {shown(url)}: {problem(error, timeout_s)}")
