"""Junk on the wire costs no call: what strangers send, and what the far end should not have."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
from aioice.stun import TransactionError
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDataChannel, RTCPeerConnection

from rtpipe_webrtc import closing as peer_connection
from rtpipe_webrtc import datagrams
from rtpipe_webrtc.datagrams import (
    ask_for_icmp,
    guard_datagrams,
    release_idle_sockets,
    shield,
    traffic,
)
from rtpipe_webrtc.loopback import Hosts, gathering

COOKIE = b"\x21\x12\xa4\x42"


class Ends:
    """Two ends of a call that stands, both guarded."""

    def __init__(self, caller: RTCPeerConnection, callee: RTCPeerConnection) -> None:
        self.caller = caller
        self.callee = callee
        self.channel: RTCDataChannel = caller.createDataChannel("events")
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        callee.on("datachannel", lambda one: one.on("message", self.heard.put_nowait))

    async def connect(self, hosts: Hosts) -> None:
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        shield(self.caller)
        with gathering(hosts):
            await self.caller.setLocalDescription(await self.caller.createOffer())
            await self.callee.setRemoteDescription(self.caller.localDescription)
            shield(self.callee)
            await self.callee.setLocalDescription(await self.callee.createAnswer())
        await self.caller.setRemoteDescription(self.callee.localDescription)
        async with asyncio.timeout(20):
            await opened.wait()

    async def talks(self) -> None:
        """Fail unless an event gets through."""
        self.channel.send("hello")
        async with asyncio.timeout(10):
            assert await self.heard.get() == "hello"

    async def drops(self, count: int) -> None:
        """Wait until so many datagrams have been dropped."""
        async with asyncio.timeout(10):
            while self.junk < count:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.001)

    def sockets(self) -> list[tuple[str, int]]:
        """Return where the callee can be reached."""
        ice = ice_of(self.callee)
        found = [one.transport.get_extra_info("sockname")[:2] for one in ice._protocols]
        return [address for address in found if ":" not in address[0]]

    @property
    def junk(self) -> int:
        return sum(one.junk for one in traffic(self.callee))


def ice_of(connection: RTCPeerConnection) -> Any:
    assert connection.sctp is not None
    return connection.sctp.transport.transport._connection


@asynccontextmanager
async def standing(hosts: Hosts = Hosts.LOOPBACK) -> AsyncIterator[Ends]:
    guard_datagrams()
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    ends = Ends(RTCPeerConnection(configuration), RTCPeerConnection(configuration))
    try:
        await ends.connect(hosts)
        yield ends
    finally:
        await peer_connection.close(ends.caller)
        await peer_connection.close(ends.callee)


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes, tuple[str, int]], None]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:

        def send(data: bytes, address: tuple[str, int]) -> None:
            sock.sendto(data, address)

        yield send


def stun(attributes: bytes, kind: int = 1) -> bytes:
    return kind.to_bytes(2) + len(attributes).to_bytes(2) + COOKIE + os.urandom(12) + attributes


JUNK = {
    "empty": b"",
    "one byte": b"\x80",
    "oversized RTP": b"\x80\x6f" + bytes(3000),
    "oversized RTCP": b"\x80\xc8" + bytes(60_000),
    "oversized DTLS": b"\x17\xfe\xfd" + bytes(60_000),
    "short RTP": b"\x80\x6f\x00",
    "DTLS cut short": b"\x17\xfe\xfd" + bytes(8) + b"\x01\x00" + b"x",
    "DTLS alert of a stranger": b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",
    "of no protocol": b"GET / HTTP/1.1\r\n\r\n",
    "STUN without its cookie": b"\x00\x01" + bytes(18),
    "STUN attribute cut short": stun(b"\x00\x24\x00\x01\x01\x00\x00\x00"),
    "STUN address of no family": stun(b"\x00\x20\x00\x04\x00\x07\x00\x00"),
    "STUN error code of nothing": stun(b"\x00\x09\x00\x00", kind=0x0111),
}


@pytest.mark.parametrize("name", JUNK)
async def test_junk_is_dropped_and_counted(
    name: str, stranger: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async with standing() as ends:
        for address in ends.sockets():
            stranger(JUNK[name], address)
        await ends.drops(len(ends.sockets()))
        await ends.talks()
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_random_junk_of_every_length_is_survived(stranger: Callable[..., None]) -> None:
    chance = Random(7)
    async with standing() as ends:
        for n in range(1, 2001):
            first = bytes([chance.randrange(256)])
            data = first + chance.randbytes(chance.choice([0, 3, 11, 19, 40, 200, 1499, 4000]))
            stranger(data, ends.sockets()[0])
            if n % 20 == 0:  # no more than a socket holds
                await ends.drops(n)
        await ends.talks()


@pytest.mark.slow
async def test_what_the_far_end_itself_should_not_have_sent_costs_one_datagram() -> None:
    async with standing() as ends:
        assert ends.callee.sctp is not None
        dtls = ends.callee.sctp.transport
        stumbling = [AssertionError, IndexError, ValueError, KeyError]

        async def stumble(_: bytes) -> None:
            raise stumbling.pop()

        take, dtls._data_receiver = dtls._data_receiver, type("", (), {"_handle_data": stumble})
        dtls._data_receiver._handle_data = stumble  # type: ignore[union-attr]
        while stumbling:
            ends.channel.send("odd")
            await asyncio.sleep(0.01)
        dtls._data_receiver = take
        async with asyncio.timeout(10):
            assert await ends.heard.get() == "odd"  # it is sent again
        assert ends.junk == 4


@pytest.mark.slow
async def test_a_far_end_whose_port_is_closed_is_gone_at_once() -> None:
    async with standing() as ends:
        ask_for_icmp(ends.caller)
        assert [one.gone for one in traffic(ends.caller)] == [None]
        for protocol in ice_of(ends.callee)._protocols:
            protocol.transport.abort()
        async with asyncio.timeout(10):
            while traffic(ends.caller)[0].gone is None:
                await ice_of(ends.caller).send(b"anybody?")
                await asyncio.sleep(0.05)
        assert traffic(ends.caller)[0].gone == "its port is closed"


@pytest.mark.slow
async def test_a_far_end_that_knows_the_call_no_more_is_gone_soon() -> None:
    async with standing() as ends:
        ice_of(ends.callee)._local_username = "begun anew"
        ice = ice_of(ends.caller)
        pair = ice._nominated[1]
        key = ice.remote_password.encode()
        async with asyncio.timeout(10):
            while traffic(ends.caller)[0].gone is None:
                request = ice.build_request(pair, nominate=False)
                with suppress(TransactionError):
                    await pair.protocol.request(
                        request, pair.remote_addr, integrity_key=key, retransmissions=0
                    )
        assert traffic(ends.caller)[0].gone == "it does not know this call any more"
        await ends.talks()


async def test_sockets_that_the_call_does_not_need_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datagrams, "_IDLE_S", 0.1)
    async with standing(Hosts.ALL) as ends:
        before = len(ice_of(ends.callee)._protocols)
        await ends.talks()
        await release_idle_sockets(ends.caller)
        await release_idle_sockets(ends.callee)
        assert before > 1 or len(ends.sockets()) == 1
        assert 1 <= len(ice_of(ends.callee)._protocols) <= 2
        assert ends.sockets()[0][0] == "127.0.0.1"
        await ends.talks()


async def test_a_call_to_another_machine_does_not_listen_on_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda _ipv4, _ipv6: ["127.0.0.2"])
    found = []
    for hosts in (Hosts.LOOPBACK, Hosts.NETWORK, Hosts.ALL):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.createDataChannel("events")
        with gathering(hosts):
            await connection.setLocalDescription(await connection.createOffer())
        found.append([one.host for one in ice_of(connection).local_candidates])
        await peer_connection.close(connection)
    assert found == [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"]]
