"""What `--fault` does to packets: decided without a clock, done between aioice and its sockets."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.faults.network import FaultyNetwork, PacketFaults, is_rtp

RTP = bytes([0x80, 96]) + bytes(40)
MARKED_RTP = bytes([0x80, 0x80 | 111]) + bytes(40)
RTCP = bytes([0x80, 200]) + bytes(40)
STUN = bytes([0, 1]) + bytes(18)
DTLS = bytes([22, 254, 253]) + bytes(40)


def packets(*, seed: int = 1, **faults: Any) -> PacketFaults:
    return PacketFaults(Faults(**faults), Random(seed))


def lost(faults: PacketFaults, count: int = 1000) -> list[int]:
    """Numbers, from 1, of the packets that do not arrive."""
    return [n for n in range(1, count + 1) if faults.delay_s(RTP, n * 0.02) is None]


@pytest.mark.parametrize(
    ("datagram", "rtp"),
    [(RTP, True), (MARKED_RTP, True), (RTCP, False), (STUN, False), (DTLS, False), (b"", False)],
)
def test_rtp_is_told_from_what_else_is_on_the_wire(datagram: bytes, rtp: bool) -> None:  # noqa: FBT001
    assert is_rtp(datagram) == rtp


def test_every_nth_packet_is_lost() -> None:
    assert lost(packets(lose_every=50), 160) == [50, 100, 150]


def test_one_packet_is_lost() -> None:
    assert lost(packets(lose_packet=150)) == [150]


def test_packets_are_lost_by_chance_and_the_seed_repeats_it() -> None:
    first = lost(packets(lose_percent=2), 10_000)
    assert 150 < len(first) < 250
    assert lost(packets(lose_percent=2), 10_000) == first
    assert lost(packets(lose_percent=2, seed=2), 10_000) != first


def test_packets_are_late_by_up_to_the_jitter() -> None:
    faults = packets(jitter_ms=60)
    delays = [faults.delay_s(RTP, 0) for _ in range(1000)]
    late = [delay for delay in delays if delay is not None]
    assert len(late) == 1000
    assert 0 <= min(late) < 0.005
    assert 0.055 < max(late) <= 0.06


def test_jitter_does_not_change_which_packets_are_lost() -> None:
    assert lost(packets(lose_percent=5)) == lost(packets(lose_percent=5, jitter_ms=60))


def test_the_audio_stops_and_all_else_goes_on() -> None:
    faults = packets(rtp_stop_s=5)
    assert faults.delay_s(RTP, 4.9) == 0
    assert faults.delay_s(RTP, 5.1) is None
    assert faults.delay_s(RTCP, 5.1) == faults.delay_s(STUN, 5.1) == 0
    assert not faults.blocked(5.1)


def test_a_freeze_ends() -> None:
    faults = packets(freeze_s=3, freeze_at_s=2)
    frozen = [at_s for at_s in range(8) if faults.blocked(at_s)]
    assert frozen == [2, 3, 4]
    assert [faults.delay_s(STUN, at_s) for at_s in (1, 3, 6)] == [0, None, 0]


def test_who_vanishes_does_not_come_back() -> None:
    faults = packets(vanish_s=5)
    assert [at_s for at_s in (-1, 4, 5, 600) if faults.blocked(at_s)] == [5, 600]
    assert faults.delay_s(DTLS, 6) is None


def test_audio_alone_is_touched_by_loss_and_jitter() -> None:
    faults = packets(lose_every=1, jitter_ms=100)
    assert [faults.delay_s(datagram, 0) for datagram in (RTCP, STUN, DTLS)] == [0, 0, 0]


class Transport:
    """Notes what is sent; the part of asyncio's that aioice uses."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    def sendto(self, data: bytes, _address: object) -> None:
        self.sent.put_nowait(data)

    def is_closing(self) -> bool:
        return self.closed


async def test_a_late_packet_is_sent_later_and_not_after_the_end() -> None:
    network = FaultyNetwork(packets(jitter_ms=1))
    transport: Any = Transport()
    network.send(transport, RTP, ("127.0.0.1", 9))
    network.send(transport, STUN, ("127.0.0.1", 9))
    assert await transport.sent.get() == STUN
    assert await asyncio.wait_for(transport.sent.get(), 5) == RTP
    network.send(transport, RTP, ("127.0.0.1", 9))
    transport.closed = True
    await asyncio.sleep(0.01)  # it would have been sent by now
    assert transport.sent.empty()


def test_each_call_has_its_own_luck_and_the_same_seed_the_same() -> None:
    def calls(seed: int) -> list[list[bool]]:
        injector = Injector(Faults(lose_percent=50), seed)
        return [
            [injector_call.delay_s(RTP, 0) is None for _ in range(50)]
            for injector_call in (injector.for_call().network.packets for _ in range(3))
        ]

    first = calls(7)
    assert first == calls(7)
    assert first != calls(8)
    assert len({tuple(call) for call in first}) == 3
