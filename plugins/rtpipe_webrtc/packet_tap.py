"""Packet tap: RTP packets are taken out of aiortc before its own jitter buffer gets them.

aiortc has no public way to do so. Its receiver keeps its buffer in one private attribute, of which
it only calls `add`; what is put in its place gets every packet. A test pins this to the versions of
aiortc that it was seen with, and where the attribute is gone the stock buffer stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiortc import RTCRtpReceiver
    from aiortc.jitterbuffer import JitterBuffer, JitterFrame
    from aiortc.rtp import RtpPacket

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000\b[^\r\n]*", re.MULTILINE | re.IGNORECASE)
_MAPPED = re.compile(r"^a=rtpmap:(\d+) ", re.MULTILINE)


class PacketHandler(Protocol):
    """Takes packets; must not raise."""

    def __call__(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take an RTP packet that has just come."""
        ...


class PacketTap:
    """Stands in for aiortc's buffer: gives it only the packets that are not ours.

    Args:
        stock: aiortc's buffer.
        payload_types: Which packets are ours.
        take: Takes ours.
        on_failure: Called with what `take` raised, which would kill aiortc's loop.
    """

    def __init__(
        self,
        stock: JitterBuffer,
        payload_types: Collection[int],
        take: PacketHandler,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._stock = stock
        self._payload_types = frozenset(payload_types)
        self._take = take
        self._on_failure = on_failure

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; returns whether to ask for a picture, and what aiortc is to decode."""
        if packet.payload_type not in self._payload_types:
            return self._stock.add(packet)
        try:
            self._take(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload)
        except Exception as error:  # noqa: BLE001 - aiortc's loop would die of it, silently
            self._on_failure(error)
        return False, None


def tap_packets(
    receiver: RTCRtpReceiver,
    payload_types: Collection[int],
    take: PacketHandler,
    on_failure: Callable[[Exception], None],
) -> bool:
    """Have `take` given the packets of `receiver`; returns whether that is possible."""
    stock: Any = getattr(receiver, _BUFFER, None)
    if not callable(getattr(stock, "add", None)):
        return False
    setattr(receiver, _BUFFER, PacketTap(stock, payload_types, take, on_failure))
    return True


def opus_payload_types(sdp: str) -> frozenset[int]:
    """Return the payload types that a description calls Opus."""
    return frozenset(int(number) for number in _OPUS.findall(sdp))


def payload_types(sdp: str) -> frozenset[int]:
    """Return the payload types that a description gives a meaning."""
    return frozenset(int(number) for number in _MAPPED.findall(sdp))


def asking_for_fec(sdp: str) -> str:
    """Return a description that asks for error correction in the Opus that we are sent."""
    return _OPUS.sub(lambda m: f"{m[0]}\r\na=fmtp:{m[1]} minptime=10;useinbandfec=1", sdp)
