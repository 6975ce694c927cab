"""127.0.0.1 for aiortc peers of the tests' own: aioice leaves it out."""

from __future__ import annotations

import aioice.ice


def allow_loopback() -> None:
    """Have every call of this process offer 127.0.0.1 first; may be called again."""
    others = aioice.ice.get_host_addresses
    if getattr(others, "of_the_tests", False):
        return

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's signature
        found = others(use_ipv4, use_ipv6)
        return ["127.0.0.1", *(one for one in found if one != "127.0.0.1")]

    get_host_addresses.of_the_tests = True  # type: ignore[attr-defined]
    get_host_addresses.knows_loopback = getattr(others, "knows_loopback", False)  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = get_host_addresses
