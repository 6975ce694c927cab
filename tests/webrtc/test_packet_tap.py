"""What is done to aiortc, pinned to the versions it was seen with."""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any

import pytest
from aiortc import RTCPeerConnection, rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from rtpipe_webrtc.packet_tap import (
    PacketTap,
    asking_for_fec,
    opus_payload_types,
    tap_packets,
)


def packet(number: int, payload_type: int) -> RtpPacket:
    made = RtpPacket(payload_type=payload_type, sequence_number=number, timestamp=960 * number)
    made.ssrc = 7
    made.payload = b"sound"
    made._data = b"sound"
    return made


def failed(error: Exception) -> None:
    raise AssertionError(error)


def test_aiortc_is_one_that_we_know() -> None:
    """Read rtcrtpreceiver.py again when this fails: does it still only call `add`?"""
    assert importlib.metadata.version("aiortc").startswith("1.16.")
    source = inspect.getsource(rtcrtpreceiver.RTCRtpReceiver)
    uses = [line.strip() for line in source.splitlines() if "__jitter_buffer" in line]
    assert uses == [
        "self.__jitter_buffer = JitterBuffer(capacity=16, prefetch=4)",
        "self.__jitter_buffer = JitterBuffer(capacity=512, is_video=True)",
        "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)",
    ]


async def test_a_receivers_packets_are_ours_once_they_are_diverted() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("audio").receiver
    taken: list[tuple[int, int, int, bytes]] = []
    assert tap_packets(receiver, {96}, lambda *packet: taken.append(packet), failed)
    buffer: Any = receiver._RTCRtpReceiver__jitter_buffer  # type: ignore[attr-defined]
    assert buffer.add(packet(3, 96)) == (False, None)
    assert taken == [(7, 3, 2880, b"sound")]
    await connection.close()


def test_a_receiver_of_another_making_is_left_alone() -> None:
    class Receiver:
        pass

    assert not tap_packets(Receiver(), {96}, lambda *_: None, failed)  # type: ignore[arg-type]


def test_other_codecs_go_aiortcs_way() -> None:
    tap = PacketTap(JitterBuffer(16, prefetch=1), {96}, lambda *_: failed, failed)
    assert tap.add(packet(1, 0)) == (False, None)
    frame = tap.add(packet(2, 0))[1]
    assert frame is not None
    assert frame.data == b"sound"


def test_a_mistake_of_ours_does_not_kill_aiortcs_loop() -> None:
    def stumble(*_: Any) -> None:
        raise ZeroDivisionError

    failures: list[Exception] = []
    tap = PacketTap(JitterBuffer(16), {96}, stumble, failures.append)
    assert tap.add(packet(1, 96)) == (False, None)
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


SDP = "v=0\r\nm=audio 9 RTP/SAVPF 96 0\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"


def test_opus_is_found_in_a_description() -> None:
    assert opus_payload_types(SDP) == {96}
    assert opus_payload_types(SDP.replace("96 opus", "111 OPUS")) == {111}
    assert opus_payload_types(SDP.replace("opus", "red")) == frozenset()
    assert opus_payload_types("") == frozenset()


def test_error_correction_is_asked_for() -> None:
    lines = asking_for_fec(SDP).split("\r\n")
    assert lines[2:4] == ["a=rtpmap:96 opus/48000/2", "a=fmtp:96 minptime=10;useinbandfec=1"]
    assert [line for line in lines if line not in SDP] == [lines[3]]


@pytest.mark.parametrize("sdp", ["", "v=0\r\n"])
def test_a_description_without_opus_is_left_alone(sdp: str) -> None:
    assert asking_for_fec(sdp) == sdp
