"""A bad network between two WebRTC peers on this machine: loss, delay, jitter, copies, silence.

    relay = Relay()
    offer = await relay.offer(offer)  # what the callee is to be given
    answer = await relay.answer(answer)  # what the caller is to be given
    relay.to_caller.weather = Weather(loss=0.02, jitter_s=0.06)
    ...
    relay.to_callee.lose(3)
    await relay.close()

Both peers must offer 127.0.0.1 (`allow_loopback`); what they send goes through sockets of the
relay. Unless `everything` is set only RTP suffers, so that a call still comes about.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

Address = tuple[str, int]

_LOOPBACK = "127.0.0.1"
_CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ udp \d+ )(\S+) (\d+)( typ host.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Weather:
    """What the network does to packets on their way.

    Attributes:
        loss: Share of packets that vanish.
        delay_s: How long all of them take.
        jitter_s: How much longer some take, evenly spread; so they overtake each other.
        copies: Share of packets that come twice.
        everything: Not only RTP: also what calls are made of (STUN, DTLS, events, RTCP).
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    copies: float = 0.0
    everything: bool = False


CLEAR = Weather()
CUT = Weather(loss=1.0, everything=True)


class Path:
    """One direction. Its weather may change at any time.

    Attributes:
        weather: What happens to packets from now on.
        carried: RTP packets that came.
        lost: RTP packets that were lost.
    """

    def __init__(self, seed: int) -> None:
        self.weather = CLEAR
        self.carried = 0
        self.lost = 0
        self._chance = random.Random(seed)
        self._to_lose = 0

    def lose(self, count: int) -> None:
        """Lose the next `count` RTP packets."""
        self._to_lose = count

    def carry(self, data: bytes, send: Callable[[bytes], None]) -> None:
        """Do to a packet what the weather does."""
        weather, chance = self.weather, self._chance
        media = is_rtp(data)
        self.carried += media
        named = media and self._to_lose > 0
        self._to_lose -= named
        if not (media or weather.everything):
            send(data)
            return
        if named or chance.random() < weather.loss:
            self.lost += media
            return
        loop = asyncio.get_running_loop()
        for _ in range(1 + (chance.random() < weather.copies)):
            after = weather.delay_s + chance.random() * weather.jitter_s
            if after > 0:
                loop.call_later(after, send, data)
            else:
                send(data)


def is_rtp(data: bytes) -> bool:
    """Whether a datagram is RTP; RTCP, STUN, DTLS are not (RFC 7983, RFC 5761)."""
    return len(data) >= 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


class Relay:
    """Stands between a caller and a callee, for one call."""

    def __init__(self, seed: int = 1) -> None:
        self.to_caller = Path(seed)
        self.to_callee = Path(seed + 1)
        self._sides: dict[Address, _Side] = {}

    async def offer(self, sdp: str) -> str:
        """Return the caller's offer with our sockets in the place of its own."""
        return await self._in_between(sdp, self.to_caller)

    async def answer(self, sdp: str) -> str:
        """Return the callee's answer with our sockets in the place of its own."""
        return await self._in_between(sdp, self.to_callee)

    async def close(self) -> None:
        """Carry nothing any more."""
        for side in self._sides.values():
            side.transport.close()
        await asyncio.sleep(0)  # the sockets are closed in the loop's next turn

    async def _in_between(self, sdp: str, path: Path) -> str:
        lines = []
        for line in sdp.splitlines():
            candidate = _CANDIDATE.match(line)
            if candidate is None:
                lines.append(line)
            elif candidate[2] == _LOOPBACK:
                side = await self._side((_LOOPBACK, int(candidate[3])), path)
                lines.append(f"{candidate[1]}{_LOOPBACK} {side.port}{candidate[4]}")
        return "\r\n".join(lines) + "\r\n"

    async def _side(self, address: Address, path: Path) -> _Side:
        if address not in self._sides:
            side = _Side(address, path, self._sides)
            loop = asyncio.get_running_loop()
            side.transport, _ = await loop.create_datagram_endpoint(
                lambda: side, local_addr=(_LOOPBACK, 0)
            )
            self._sides[address] = side
        return self._sides[address]


class _Side(asyncio.DatagramProtocol):
    """One address of a peer, as the other peer sees it."""

    transport: asyncio.DatagramTransport

    def __init__(self, address: Address, path: Path, sides: dict[Address, _Side]) -> None:
        self._address = address
        self._path = path
        self._sides = sides

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: Address) -> None:
        sender = self._sides.get(addr)
        if sender is not None:  # a packet must come from where the other peer knows its sender
            self._path.carry(data, lambda packet: sender.send(packet, self._address))

    def error_received(self, exc: Exception) -> None:
        """A peer has closed its socket: nothing to us."""

    def send(self, data: bytes, address: Address) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(data, address)
