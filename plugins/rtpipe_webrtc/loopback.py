"""Loopback ICE: 127.0.0.1 is offered too where a call needs it, which aioice always leaves out.

Without this a machine that has only `lo` gathers no candidate, and the call hangs without an error.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = "127.0.0.1"


class Hosts(Enum):
    """On which of this machine's addresses a call binds sockets."""

    NETWORK = auto()
    """All but 127.0.0.1: the far end is another machine."""
    ALL = auto()
    """The far end may be here, in a container of this machine, or somewhere else."""
    LOOPBACK = auto()
    """127.0.0.1 alone: no packet leaves the machine, and none comes from outside."""


_hosts = ContextVar("rtpipe_hosts", default=Hosts.NETWORK)


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) means this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def gathering(hosts: Hosts) -> Iterator[None]:
    """Gather candidates on `hosts` in what is awaited inside, tasks included."""
    _install()
    token = _hosts.set(hosts)
    try:
        yield
    finally:
        _hosts.reset(token)


def _install() -> None:
    import aioice.ice

    others = aioice.ice.get_host_addresses
    if getattr(others, "knows_loopback", False):
        return

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's signature
        hosts = _hosts.get()
        if hosts is Hosts.LOOPBACK:
            return [_ADDRESS]
        first = [_ADDRESS] if hosts is Hosts.ALL and use_ipv4 else []
        return [*first, *others(use_ipv4, use_ipv6)]

    get_host_addresses.knows_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = get_host_addresses
