"""Loopback ICE: 127.0.0.1 is offered too, which aioice leaves out.

Without this a machine that has only `lo` gathers no candidate, and the call hangs without an error.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = "127.0.0.1"
_only = ContextVar("rtpipe_loopback_only", default=False)


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) means this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allow_loopback() -> None:
    """Make aioice offer 127.0.0.1 first, beside the other addresses; may be called again."""
    import aioice.ice

    others = aioice.ice.get_host_addresses
    if getattr(others, "offers_loopback", False):
        return

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's signature
        if _only.get():
            return [_ADDRESS]
        return [*([_ADDRESS] if use_ipv4 else []), *others(use_ipv4, use_ipv6)]

    get_host_addresses.offers_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = get_host_addresses


@contextmanager
def loopback_only() -> Iterator[None]:
    """Gather 127.0.0.1 and nothing else in what is awaited inside, tasks included."""
    allow_loopback()
    token = _only.set(True)
    try:
        yield
    finally:
        _only.reset(token)
