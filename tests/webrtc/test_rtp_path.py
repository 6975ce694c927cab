"""The short ways through aiortc: pinned to the versions they were seen with, and left where not."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from aioice import ice
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
    rtcdtlstransport,
    rtcrtpreceiver,
    rtcrtpsender,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from rtpipe_webrtc.loopback import Hosts, gathering
from rtpipe_webrtc.packet_tap import tap_packets
from rtpipe_webrtc.rtp_path import SendPath, payload_of, receive_in_place

OPUS = 96
TOC = 0xF8  # CELT, 20 ms


def lines(owner: Any, *words: str) -> list[str]:
    source = inspect.getsource(owner).splitlines()
    return [line.strip() for line in source if any(word in line for word in words)]


def failed(error: Exception) -> None:
    raise AssertionError(error)


# -- what is pinned ----------------------------------------------------------------------------


def test_aiortc_is_one_that_we_know() -> None:
    """Read aiortc's and aioice's files again when this fails, then rtp_path.py."""
    assert importlib.metadata.version("aiortc").startswith("1.16.")
    assert importlib.metadata.version("aioice").startswith("0.13.")


def test_how_aiortc_receives() -> None:
    received = rtcdtlstransport.RTCDtlsTransport._recv_next
    assert lines(received, "__rx_", "_rx_srtp", "is_rtcp") == [
        "self.__rx_bytes += len(data)",
        "self.__rx_packets += 1",
        "elif first_byte > 127 and first_byte < 192 and self._rx_srtp:",
        "if is_rtcp(data):",
        "data = self._rx_srtp.unprotect_rtcp(data)",
        "data = self._rx_srtp.unprotect(data)",
    ]
    statistics = inspect.getsource(rtcrtpreceiver.StreamStatistics.add)
    assert set(re.findall(r"packet\.(\w+)", statistics)) == {"sequence_number", "timestamp"}
    taken = lines(rtcrtpreceiver.RTCRtpReceiver._handle_rtp_packet, "__remote_streams")
    assert taken == [
        "if packet.ssrc not in self.__remote_streams:",
        "self.__remote_streams[packet.ssrc] = StreamStatistics(codec.clockRate)",
        "self.__remote_streams[packet.ssrc].add(packet)",
    ]


def test_how_aioice_receives() -> None:
    assert lines(ice.Connection.data_received, "self._queue") == [
        "self._queue.put_nowait((data, component))"
    ]


def test_how_aiortc_sends() -> None:
    sends = rtcrtpsender.RTCRtpSender._run_rtp
    assert lines(
        sends, "_send_rtp", "__ntp_timestamp", "__octet", "__packet_count", "__rtp_time"
    ) == [
        "await self.transport._send_rtp(packet_bytes)",
        "self.__ntp_timestamp = clock.current_ntp_time()",
        "self.__rtp_timestamp = packet.timestamp",
        "self.__octet_count += len(payload)",
        "self.__packet_count += 1",
    ]
    # Nothing in there waits, so that a packet leaves in the wake-up in which it was made.
    assert lines(rtcdtlstransport.RTCDtlsTransport._send_rtp, "await") == [
        "await self.transport._send(data)"
    ]
    assert lines(ice.Connection.sendto, "await") == [
        "await active_pair.protocol.send_data(data, active_pair.remote_addr)"
    ]
    assert lines(ice.StunProtocol.send_data, "await") == []


# -- packets -----------------------------------------------------------------------------------

PLAIN = bytes([0x80, OPUS]) + bytes(10)


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (PLAIN + b"sound", b"sound"),
        (PLAIN, b""),
        (bytes([0x82]) + PLAIN[1:] + bytes(8) + b"sound", b"sound"),  # two sources
        (bytes([0x90]) + PLAIN[1:] + b"\xbe\xde\0\1" + bytes(4) + b"sound", b"sound"),
        (bytes([0xA0]) + PLAIN[1:] + b"sound\0\0\3", b"sound"),
        (PLAIN[:11], None),
        (b"", None),
        (bytes([0x90]) + PLAIN[1:] + b"\xbe", None),
        (bytes([0x90]) + PLAIN[1:] + b"\xbe\xde\0\2" + bytes(4), None),
        (bytes([0xA0]) + PLAIN[1:] + b"sound\0", None),
        (bytes([0xA0]) + PLAIN[1:] + b"so\xff", None),
    ],
)
def test_the_payload_of_a_packet(packet: bytes, payload: bytes | None) -> None:
    assert payload_of(packet) == payload


# -- two peers ---------------------------------------------------------------------------------


class Told(MediaStreamTrack):
    """Sends packets when it is told to: the first by aiortc, all others by the path."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.path: SendPath | None = None
        self.numbers: asyncio.Queue[int | None] = asyncio.Queue()

    async def recv(self) -> Packet[Any]:
        assert self.path is not None
        if not self.path.open:
            assert self.path.learn()
        while (number := await self.numbers.get()) is not None:
            if self.path.open:
                self.path.send(sound(number), 960 * number)
                continue
            packet: Packet[Any] = Packet(sound(number))
            packet.pts, packet.time_base = 960 * number, Fraction(1, 48_000)
            return packet
        raise MediaStreamError


def sound(number: int) -> bytes:
    return bytes([TOC]) + number.to_bytes(2, "big") * 20


@dataclass
class Peers:
    sender: RTCRtpSender
    receiver: RTCRtpReceiver
    track: Told
    taken: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, *packet: Any) -> None:
        self.taken.append(packet)
        self.news.set()

    async def took(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.taken) < count:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def peers(*, in_place: bool = True) -> AsyncIterator[Peers]:
    """Have two peers of which one has sent its first packet."""
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    track, opened = Told(), asyncio.Event()
    try:
        with gathering(Hosts.LOOPBACK):
            sender = near.addTrack(track)
            track.path = SendPath(sender)
            near.createDataChannel("test").on("open", opened.set)
            receiver = far.addTransceiver("audio", direction="recvonly").receiver
            await near.setLocalDescription(await near.createOffer())
            await far.setRemoteDescription(near.localDescription)
            made = Peers(sender, far.getReceivers()[0], track)
            assert made.receiver is receiver
            tap_packets(receiver, {OPUS}, made.take, failed)
            await far.setLocalDescription(await far.createAnswer())
            answer = RTCSessionDescription(far.localDescription.sdp, "answer")
            await near.setRemoteDescription(answer)
        async with asyncio.timeout(20):
            await opened.wait()
        if in_place:
            assert receive_in_place(receiver, {OPUS}, made.take, failed)
        track.numbers.put_nowait(0)
        await made.took(1)
        yield made
    finally:
        track.numbers.put_nowait(None)
        await near.close()
        await far.close()


@pytest.mark.parametrize("in_place", [False, True])
async def test_what_follows_goes_on_from_aiortcs_first_packet(*, in_place: bool) -> None:
    async with peers(in_place=in_place) as two:
        for number in range(1, 200):
            two.track.numbers.put_nowait(number)
        await two.took(200)
        ssrc, sequence, timestamp, _ = two.taken[0]
        for number, packet in enumerate(sorted(two.taken, key=lambda one: one[1])):
            assert packet == (
                ssrc,
                sequence + number,
                (timestamp + 960 * number) % 2**32,
                sound(number),
            )
        assert ssrc == two.sender._ssrc


@pytest.mark.slow
async def test_both_ends_count_and_report_as_before() -> None:
    async with peers() as two:
        for number in range(1, 50):
            two.track.numbers.put_nowait(number)
        await two.took(50)
        sent = {one.type: one for one in (await two.sender.getStats()).values()}
        assert sent["outbound-rtp"].packetsSent == 50
        assert sent["outbound-rtp"].bytesSent == 50 * len(sound(0))
        received = {one.type: one for one in (await two.receiver.getStats()).values()}
        assert received["inbound-rtp"].packetsReceived == 50
        assert received["inbound-rtp"].packetsLost == 0
        assert received["transport"].packetsReceived >= 50
        async with asyncio.timeout(20):  # RTCP, which comes within 1.5 s, and again
            while (report := await _reported(two.sender)) is None:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.1)
        assert report.packetsLost == 0


async def _reported(sender: RTCRtpSender) -> Any:
    """Return what the far end reports, once it has answered a report of ours."""
    reports = [
        one for one in (await sender.getStats()).values() if one.type == "remote-inbound-rtp"
    ]
    return next((one for one in reports if one.roundTripTime is not None), None)


async def test_a_packet_is_taken_and_sent_without_a_pass_of_the_loop() -> None:
    async with peers() as two:
        transport: Any = two.receiver.transport
        connection = transport.transport._connection
        wire: list[bytes] = []
        two.sender.transport.transport._send = _into(wire)  # type: ignore[attr-defined]
        assert two.track.path is not None
        two.track.path.send(sound(1), 960)
        connection.data_received(wire[0], 1)
        assert [packet[3] for packet in two.taken] == [sound(0), sound(1)]
        connection.data_received(wire[0], 1)  # it comes again: SRTP says so
        assert len(two.taken) == 2


async def test_where_sending_would_wait_it_is_an_error() -> None:
    async with peers() as two:

        async def send(data: bytes) -> None:
            await asyncio.sleep(0)

        two.sender.transport.transport._send = send  # type: ignore[attr-defined]
        assert two.track.path is not None
        with pytest.raises(RuntimeError, match="waits"):
            two.track.path.send(sound(1), 960)


def _into(wire: list[bytes]) -> Any:
    async def send(data: bytes) -> None:
        wire.append(data)

    return send


async def test_what_is_forged_or_junk_is_nobodys() -> None:
    async with peers() as two:
        transport: Any = two.receiver.transport
        connection = transport.transport._connection
        pair = connection._nominated[1]
        ssrc = two.taken[0][0].to_bytes(4, "big")
        for junk in (
            bytes([0x80, OPUS]) + bytes(6) + ssrc + os.urandom(40),
            bytes([0x80, OPUS]) + bytes(6) + ssrc,
            bytes([0x80, OPUS]) + os.urandom(50),
            bytes([0x80, OPUS]),
            bytes([0xFF]) * 50,
        ):
            pair.protocol.datagram_received(junk, pair.remote_addr)
        two.track.numbers.put_nowait(1)
        await two.took(2)
        assert [packet[3] for packet in two.taken] == [sound(0), sound(1)]


async def test_a_mistake_of_ours_is_told() -> None:
    async with peers(in_place=False) as two:
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        def stumble(*_: Any) -> None:
            raise ZeroDivisionError

        assert receive_in_place(two.receiver, {OPUS}, stumble, failed.set_result)
        two.track.numbers.put_nowait(1)
        async with asyncio.timeout(20):
            assert isinstance(await failed, ZeroDivisionError)


# -- where aiortc is another -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("receiver", "_RTCRtpReceiver__remote_streams"),
        ("dtls", "_RTCDtlsTransport__rx_packets"),
        ("dtls", "_rx_srtp"),
        ("ice", "_connection"),
    ],
)
async def test_a_receiver_of_another_making_is_left_alone(owner: str, name: str) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver: Any = connection.addTransceiver("audio").receiver
    ice_connection = receiver.transport.transport._connection
    owners = {
        "receiver": receiver,
        "dtls": receiver.transport,
        "ice": receiver.transport.transport,
    }
    kept = owners[owner].__dict__.pop(name)
    try:
        assert not receive_in_place(receiver, {OPUS}, failed, failed)
        assert "data_received" not in ice_connection.__dict__
    finally:
        setattr(owners[owner], name, kept)
        await connection.close()


@pytest.mark.parametrize("name", ["_RTCRtpSender__packet_count", "_ssrc"])
async def test_a_sender_of_another_making_is_left_alone(name: str) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender: Any = connection.addTransceiver("audio").sender
    kept = sender.__dict__.pop(name)
    try:
        path = SendPath(sender)
        assert not path.learn()
        assert not path.open
        assert "_send_rtp" not in sender.transport.__dict__
    finally:
        setattr(sender, name, kept)
        await connection.close()
