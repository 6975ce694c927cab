"""The SDP answer, looked at before aiortc gets it: what the server takes and sends, and where."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtpipe_plugins.peers.realtime.errors import CallRefused, NoRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_DIRECTIONS = {"sendrecv", "sendonly", "recvonly", "inactive"}
_CANDIDATE = re.compile(r"(a=candidate:\S+ (\d+) (\S+) \d+ )(\S+)( \d+ typ \S+.*)")
_RESOLVE_S = 1.0
_MOST_NAMES = 8
_WEBSOCKET_HELP = "`transport: websocket` needs no addresses but base_url"


@dataclass(slots=True)
class _Section:
    """The lines of one medium; those before the first are the session's."""

    lines: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.lines[0][2:].partition(" ")[0]

    @property
    def rejected(self) -> bool:
        """Whether its port is 0."""
        return self.lines[0].split(" ")[1:2] == ["0"]

    @property
    def direction(self) -> str | None:
        said = (line.strip()[2:] for line in self.lines if line.startswith("a="))
        return next((one for one in said if one in _DIRECTIONS), None)


class Answer:
    """A server's half of a connection.

    Args:
        sdp: As it came.

    Raises:
        CallRefused: No call can come of it.
    """

    def __init__(self, sdp: str) -> None:
        self._session = _Section()
        self._media: list[_Section] = []
        section = self._session
        for line in sdp.splitlines():
            if line.startswith("m="):
                section = _Section()
                self._media.append(section)
            section.lines.append(line)
        audio = self._accepted("audio", "audio: it can neither hear nor be heard")
        self._accepted("application", "data channel, by which the events of a call travel")
        self.direction = audio.direction or self._session.direction or "sendrecv"
        """What the server does with audio, from its side: `sendrecv`, `sendonly`, `recvonly`."""
        if self.direction == "inactive":
            raise _refused("audio: it can neither hear nor be heard (a=inactive)")
        if audio.direction is None:  # which aiortc takes for inactive
            audio.lines.append(f"a={self.direction}")

    @property
    def listens(self) -> bool:
        """Whether the server takes our audio."""
        return self.direction != "sendonly"

    @property
    def speaks(self) -> bool:
        """Whether the server sends audio."""
        return self.direction != "recvonly"

    def __str__(self) -> str:
        """Return the SDP."""
        sections = [self._session, *self._media]
        return "".join(f"{line}\r\n" for section in sections for line in section.lines)

    async def locate(self, resolve: Callable[[str], Awaitable[str | None]]) -> None:
        """Find the addresses that are given as names; leave out what no UDP packet can reach.

        Args:
            resolve: Returns the address of a name, or None.

        Raises:
            NoRoute: None is left.
        """
        lines = [line for section in self._media for line in section.lines]
        found = [match for line in lines if (match := _CANDIDATE.match(line))]
        udp = [match for match in found if match[2] == "1" and match[3].lower() == "udp"]
        unknown = sorted({match[4] for match in udp if not _is_address(match[4])})
        names = unknown[:_MOST_NAMES]
        addresses = await asyncio.gather(*(resolve(name) for name in names))
        known = dict.fromkeys(unknown) | dict(zip(names, addresses, strict=True))
        reachable = [match for match in udp if known.get(match[4], match[4])]
        if not reachable:
            raise _no_route(names, any_named=bool(found))
        for section in self._media:
            section.lines = list(_located(section.lines, known))

    def _accepted(self, kind: str, what: str) -> _Section:
        section = next((one for one in self._media if one.kind == kind), None)
        if section is None or section.rejected:
            raise _refused(what)
        return section


def _located(lines: list[str], known: dict[str, str | None]) -> Iterator[str]:
    """Yield the lines, with addresses for names, without what has none or is not for UDP."""
    for line in lines:
        match = _CANDIDATE.match(line)
        if match is None:
            yield line
        elif match[3].lower() == "udp" and (address := known.get(match[4], match[4])):
            yield f"{match[1]}{address}{match[5]}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(what: str) -> CallRefused:
    return CallRefused(
        f"the server's answer has no {what}",
        help="is it a server for speech? `transport: websocket` may be what it speaks",
    )


def _no_route(names: list[str], *, any_named: bool) -> NoRoute:
    """Return what it means that no address is left."""
    if names:
        shown = f"{names[0][:80]}{', …' if len(names) > 1 else ''}"
        return NoRoute(
            f"the server's answer gives its address as a name that nobody here knows: {shown}",
            help=f"have the server offer its IP address (a name in .local is found by mDNS); "
            f"{_WEBSOCKET_HELP}",
        )
    if any_named:
        return NoRoute("the server's answer has no address for UDP", help=_WEBSOCKET_HELP)
    return NoRoute(
        "the server's answer has no address in it (no ICE candidate)",
        help=f"the server must give all its addresses with the answer; {_WEBSOCKET_HELP}",
    )


async def resolved(name: str) -> str | None:
    """Return the address of `name`, by mDNS if it ends in .local; None where nobody knows it."""
    try:
        async with asyncio.timeout(_RESOLVE_S):
            if name.lower().rstrip(".").endswith(".local"):
                return await _resolved_by_mdns(name)
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
            return str(found[0][4][0])
    except (OSError, UnicodeError):
        return None


async def _resolved_by_mdns(name: str) -> str | None:
    from aioice.mdns import create_mdns_protocol
    from dns.exception import DNSException

    protocol = await create_mdns_protocol()
    try:
        return await protocol.resolve(name, timeout=_RESOLVE_S)
    except DNSException:  # it cannot be a name
        return None
    finally:
        await protocol.close()
