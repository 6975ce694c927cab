"""Datagrams: what is no part of a call is dropped before aiortc gets it, and counted.

aiortc takes what any stranger sends to a call's port, and dies of it: of an empty datagram, of one
over 1500 bytes. So sockets are made with a guard (aioice has no seam for one: its class is
replaced), and what the far end itself sends and aiortc trips over costs one datagram, not the call.

Imports aioice; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import aioice.ice
from aioice import stun
from aioice.turn import TurnTransport
from OpenSSL import SSL

from rtpipe_webrtc.closing import transports

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCDtlsTransport, RTCPeerConnection

_MOST_BYTES = 1500
"""What aiortc and libsrtp have room for."""
_LEAST_DTLS, _LEAST_RTP = 13, 12
_COOKIE = b"\x21\x12\xa4\x42"
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""Linux tells a socket without a connection of ICMP only when asked: IP_RECVERR, IPV6_RECVERR."""
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN}
_CLOSED_S = 1.0
_UNREACHABLE_S = 3.0
"""A network that roams comes back within seconds; a port that is closed does not."""
_IDLE_S = 5.0
"""ICE needs its other sockets for 3 s more (RFC 8445, 8.3.1)."""


class Traffic:
    """What has come to the sockets of one ICE connection. Times are those of the event loop."""

    def __init__(self) -> None:
        self.received = 0
        """Datagrams of the far end's."""
        self.junk = 0
        """Datagrams that were dropped."""
        self._sign: tuple[str, float] | None = None
        self.used: WeakSet[GuardedProtocol] = WeakSet()
        """The sockets to which the far end has sent more than questions."""

    def take(self) -> None:
        """Note that the far end has been heard."""
        self.received += 1
        self._sign = None

    def miss(self, why: str, after_s: float = _CLOSED_S) -> None:
        """Note a sign that the far end is gone; it counts when nothing comes for `after_s` more."""
        if self._sign is None:
            self._sign = why, asyncio.get_running_loop().time() + after_s

    @property
    def gone(self) -> str | None:
        """Why the far end is gone, if it is."""
        if self._sign is None or asyncio.get_running_loop().time() < self._sign[1]:
            return None
        return self._sign[0]


_traffic: WeakKeyDictionary[aioice.ice.Connection, Traffic] = WeakKeyDictionary()


def _traffic_of(ice: aioice.ice.Connection) -> Traffic:
    return _traffic.setdefault(ice, Traffic())


def traffic(connection: RTCPeerConnection) -> list[Traffic]:
    """Return what has come for `connection`: for each of its transports, mostly one."""
    return [_traffic_of(dtls.transport._connection) for dtls in transports(connection)]  # noqa: SLF001 - aiortc has no other way


class GuardedProtocol(aioice.ice.StunProtocol):
    """A socket of aioice's that lets in only what belongs to the call."""

    def __init__(self, receiver: aioice.ice.Connection) -> None:
        super().__init__(receiver)
        self._traffic = _traffic_of(receiver)
        self._known: tuple[Any, ...] = ()
        self._used = False

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take a datagram, or drop it (RFC 7983 says which byte begins what)."""
        assert isinstance(data, bytes)  # aioice's signature says more than asyncio does
        addr = addr[:2]
        if not 0 < len(data) <= _MOST_BYTES:
            self._traffic.junk += 1
        elif data[0] < 4:
            self._stun(data, addr)
        elif self._of_the_call(data) and self._from_far_end(addr):
            self._traffic.take()
            if not self._used:
                self._used = True
                self._traffic.used.add(self)
            self.receiver.data_received(data, self.local_candidate.component)
        else:
            self._traffic.junk += 1

    def error_received(self, exc: Exception) -> None:
        """Note that nobody takes what we send."""
        super().error_received(exc)
        about = self._drain_errors()
        nominated = self.receiver._nominated.values()  # noqa: SLF001 - aioice has no other way
        if about and not about & {pair.remote_addr for pair in nominated}:
            return
        if isinstance(exc, ConnectionRefusedError):
            self._traffic.miss("its port is closed")
        elif isinstance(exc, OSError) and exc.errno in _UNREACHABLE:
            self._traffic.miss(f"{exc.strerror}".lower(), _UNREACHABLE_S)

    def ask_for_icmp(self) -> None:
        """Be told by ICMP too that nobody takes what we send; not while ICE still looks around."""
        sock = self.transport.get_extra_info("socket")
        if self._has_errors(sock):
            sock.setsockopt(*_RECVERR[sock.family], 1)

    def _stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            message = stun.parse_message(data)
        except Exception:  # noqa: BLE001 - aioice's parser lets through what it meets
            self._traffic.junk += 1
            return
        if data[4:8] != _COOKIE:
            self._traffic.junk += 1
            return
        if message.message_class == stun.Class.ERROR:
            if message.transaction_id in self.transactions:
                self._traffic.miss("it does not know this call any more")
        elif self._from_far_end(addr):
            self._traffic.take()
        super().datagram_received(data, addr)

    @staticmethod
    def _of_the_call(data: bytes) -> bool:
        first = data[0]
        if 128 <= first <= 191:
            return len(data) >= _LEAST_RTP
        if 32 <= first <= 63:
            return True
        if not 20 <= first <= 31:
            return False
        at = 0
        while len(data) - at >= _LEAST_DTLS and data[at + 1] == 0xFE:
            at += _LEAST_DTLS + int.from_bytes(data[at + 11 : at + 13])
            if at == len(data):
                return True
        return False

    def _from_far_end(self, addr: tuple[Any, ...]) -> bool:
        """Whether it comes from where ICE has found the far end."""
        if addr == self._known:
            return True
        for one in self.receiver._remote_candidates:  # noqa: SLF001 - the public list is a copy
            if (getattr(one, "_network_host", one.host), one.port) == addr:
                self._known = addr
                return True
        return False

    def _has_errors(self, sock: socket.socket | None) -> bool:
        own = not isinstance(self.transport, TurnTransport)
        return own and sys.platform == "linux" and sock is not None and sock.family in _RECVERR

    def _drain_errors(self) -> set[tuple[Any, ...]]:
        """Empty the queue of ICMP errors, or the loop would spin; return where they were met."""
        about = set()
        sock = self.transport.get_extra_info("socket")
        if self._has_errors(sock):
            with sock.dup() as queue, suppress(OSError):
                while True:
                    flags = socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
                    about.add(queue.recvmsg(0, 0, flags)[3][:2])
        return about


def guard_datagrams() -> None:
    """Guard the sockets of every connection that is made from now on; may be called again."""
    aioice.ice.StunProtocol = GuardedProtocol  # type: ignore[misc]


def shield(connection: RTCPeerConnection) -> None:
    """Let aiortc's loop outlive what it trips over; to be called when the transports are made."""
    for dtls in transports(connection):
        _shield(dtls)


def _shield(dtls: RTCDtlsTransport) -> None:
    receive: Callable[[], Any] = dtls._recv_next  # noqa: SLF001 - aiortc has no other way
    counted = _traffic_of(dtls.transport._connection)  # noqa: SLF001 - as above

    async def receive_next() -> None:
        try:
            await receive()
        except (ConnectionError, SSL.Error):  # the end, and not of one datagram
            raise
        except Exception:  # noqa: BLE001 - an assertion, an index: whatever it parses with
            counted.junk += 1

    dtls._recv_next = receive_next  # type: ignore[method-assign]  # noqa: SLF001 - as above


def ask_for_icmp(connection: RTCPeerConnection) -> None:
    """Have it noticed sooner that the far end is gone, in a call that stands."""
    for dtls in transports(connection):
        for pair in dtls.transport._connection._nominated.values():  # noqa: SLF001 - aiortc has no other way
            if isinstance(pair.protocol, GuardedProtocol):
                pair.protocol.ask_for_icmp()


async def release_idle_sockets(connection: RTCPeerConnection) -> None:
    """Close the sockets over which the call does not go, once ICE can need them no more."""
    await asyncio.sleep(_IDLE_S)
    for dtls in transports(connection):
        ice = dtls.transport._connection  # noqa: SLF001 - aiortc has no other way
        used = {*_traffic_of(ice).used} | {pair.protocol for pair in ice._nominated.values()}  # noqa: SLF001 - as above
        idle = [one for one in ice._protocols if one not in used]  # noqa: SLF001 - as above
        # A list of its own: aioice may be walking through the old one to close them all.
        ice._protocols = [one for one in ice._protocols if one in used]  # noqa: SLF001 - as above
        for protocol in idle:
            await protocol.close()
