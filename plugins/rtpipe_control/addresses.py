"""Addresses to listen on, as people write them."""

from __future__ import annotations

import re
from ipaddress import ip_address

HOST, PORT = "127.0.0.1", 8080
"""Where the page is if nothing else is said."""
_ADDRESS = re.compile(r"(?:(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*)):)?(?P<port>\d{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[::1]:PORT` or `PORT`.

    Raises:
        ValueError: It is none of these.
    """
    found = _ADDRESS.fullmatch(text.strip())
    port = int(found["port"]) if found else 65_536
    if found is None or port > 65_535:
        raise ValueError(f"`{text}` is no address; write HOST:PORT, for example {HOST}:{PORT}")
    return found["six"] or found["host"] or HOST, port


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    try:
        address = ip_address(host)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return host == "localhost"


def is_anywhere(host: str) -> bool:
    """Return whether `host` stands for every address of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
