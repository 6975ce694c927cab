"""Short ways for RTP through aiortc: a packet of a call's audio costs no pass of the event loop.

aiortc takes a packet to its reader through a queue and a task, and makes every header that it sends
anew. Here a packet is taken where it comes out of the socket, and headers are made after the first
one of aiortc's own. Everything else stays aiortc's: ICE, DTLS, SRTP, RTCP, other codecs, and the
first packet each way, which sets its tables up.

What is used of it is private. A test pins it to the versions that it was seen with; where something
is gone at run time, all packets go aiortc's way.
"""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pylibsrtp import Error as SrtpError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiortc import RTCRtpReceiver, RTCRtpSender

    from rtpipe_webrtc.packet_tap import PacketHandler

_STREAMS = "_RTCRtpReceiver__remote_streams"
_RECEIVED_PACKETS, _RECEIVED_BYTES = "_RTCDtlsTransport__rx_packets", "_RTCDtlsTransport__rx_bytes"
_NTP, _RTP = "_RTCRtpSender__ntp_timestamp", "_RTCRtpSender__rtp_timestamp"
_SENT_PACKETS, _SENT_BYTES = "_RTCRtpSender__packet_count", "_RTCRtpSender__octet_count"

_MOST_BYTES = 16_384
"""Of a datagram: more than any network carries in one piece, jumbo frames included."""
_HEADER = struct.Struct("!BBHLL")
_VARIABLE = struct.Struct("!HL")
_NTP_EPOCH_S = 2_208_988_800
"""1970 by NTP's count, which begins in 1900 (s)."""


class _Arrived:
    """What aiortc's statistics look at of a packet."""

    __slots__ = ("sequence_number", "timestamp")

    def __init__(self) -> None:
        self.sequence_number = 0
        self.timestamp = 0


def receive_in_place(
    receiver: RTCRtpReceiver,
    payload_types: Collection[int],
    take: PacketHandler,
    on_failure: Callable[[Exception], None],
) -> bool:
    """Have `take` given the packets of `receiver` as they come out of the socket.

    To be called when the connection stands: which transport a receiver shares is not known before.

    Args:
        receiver: The receiver; `tap_packets` was called for it, too.
        payload_types: Which packets are ours.
        take: Takes ours.
        on_failure: Called with what `take` raised.

    Returns:
        Whether that is possible.
    """
    dtls: Any = receiver.transport
    ice: Any = getattr(dtls.transport, "_connection", None)
    streams: dict[int, Any] | None = getattr(receiver, _STREAMS, None)
    queued = getattr(ice, "data_received", None)
    wanted = (_RECEIVED_PACKETS, _RECEIVED_BYTES, "_rx_srtp")
    if streams is None or not callable(queued) or not _has(dtls, wanted):
        return False
    ours, arrived = frozenset(payload_types), _Arrived()

    def data_received(data: bytes, component: int) -> None:
        """Take a datagram that is no STUN; see `aioice.ice.Connection.data_received`."""
        # RTP, and of ours, by the first two bytes; RTCP has none of our types there (RFC 5761).
        if len(data) < _HEADER.size or data[0] >> 6 != 2 or data[1] & 0x7F not in ours:
            queued(data, component)
            return
        ssrc = int.from_bytes(data[8:12], "big")
        stream = streams.get(ssrc)
        if stream is None:  # the first of its stream: aiortc is to know it
            queued(data, component)
            return
        vars_ = dtls.__dict__
        vars_[_RECEIVED_BYTES] += len(data)
        vars_[_RECEIVED_PACKETS] += 1
        try:
            packet = dtls._rx_srtp.unprotect(data)  # noqa: SLF001 - pinned, see above
        except SrtpError:
            return  # forged, or it came before
        payload = payload_of(packet)
        if payload is None:
            return
        sequence, timestamp = _VARIABLE.unpack_from(packet, 2)
        arrived.sequence_number, arrived.timestamp = sequence, timestamp
        stream.add(arrived)
        try:
            take(ssrc, sequence, timestamp, payload)
        except Exception as error:  # noqa: BLE001 - asyncio would only log it
            on_failure(error)

    ice.data_received = data_received
    for pair in getattr(ice, "_nominated", {}).values():
        # asyncio asks for 256 KiB each time, which takes longer than to receive a packet.
        if hasattr(pair.protocol.transport, "max_size"):
            pair.protocol.transport.max_size = _MOST_BYTES
    return True


def payload_of(packet: bytes) -> bytes | None:
    """Return the payload of an RTP packet (RFC 3550, 5.1); None: it is none, or cut off."""
    if len(packet) < _HEADER.size:
        return None
    first = packet[0]
    start, end = _HEADER.size + 4 * (first & 0x0F), len(packet)
    if first & 0x10:
        if len(packet) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if first & 0x20:
        padding = packet[-1]
        if padding == 0:
            return None
        end -= padding
    return packet[start:end] if start <= end else None


class SendPath:
    """Sends what follows the first packet of a sender's, which is aiortc's own.

    Its SSRC, payload type and header extensions stay, its numbers go on.

    Args:
        sender: Sends Opus that its track encodes.
    """

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender: Any = sender
        self._template = b""
        self._first = (0, 0)
        self._sent = 0

    @property
    def open(self) -> bool:
        """Whether the first packet has left, so that `send` may be used."""
        return bool(self._template)

    def learn(self) -> bool:
        """Look at the next packet that aiortc sends; returns whether that is possible."""
        dtls: Any = self._sender.transport
        stock: Any = getattr(dtls, "_send_rtp", None)
        wanted = (_NTP, _RTP, _SENT_PACKETS, _SENT_BYTES, "_ssrc")
        if stock is None or not _has(self._sender, wanted):
            return False

        async def _send_rtp(data: bytes) -> None:
            await stock(data)
            if self._is_ours(data):
                if dtls.__dict__.get("_send_rtp") is _send_rtp:  # nobody else's stands in front
                    del dtls.__dict__["_send_rtp"]
                self._take_after(data)

        dtls._send_rtp = _send_rtp  # noqa: SLF001 - pinned, see above
        return True

    def _is_ours(self, data: bytes) -> bool:
        if self._template or len(data) < _HEADER.size or 192 <= data[1] <= 208:  # RTCP
            return False
        return bool(int.from_bytes(data[8:12], "big") == self._sender._ssrc)  # noqa: SLF001

    def _take_after(self, data: bytes) -> None:
        payload = payload_of(data)
        if payload is None or data[0] & 0x20:
            return
        self._first = _VARIABLE.unpack_from(data, 2)
        self._template = data[: len(data) - len(payload)]

    def send(self, payload: bytes, ticks: int) -> None:
        """Send a packet.

        Args:
            payload: The codec's.
            ticks: By how much its time is later than the first packet's (samples).

        Raises:
            ConnectionError: The connection is closed.
            RuntimeError: aiortc wants to wait before it sends, as no version seen does.
        """
        self._sent += 1
        sequence, timestamp = self._first
        timestamp = timestamp + ticks & 0xFFFFFFFF
        variable = _VARIABLE.pack(sequence + self._sent & 0xFFFF, timestamp)
        template, sender = self._template, self._sender
        data = b"".join((template[:2], variable, template[8:], payload))
        sending = sender.transport._send_rtp(data)  # noqa: SLF001 - pinned, see above
        with suppress(StopIteration):
            sending.send(None)
            sending.close()
            raise RuntimeError("aiortc waits before it sends")
        vars_ = sender.__dict__  # what its reports say
        vars_[_NTP] = int((time.time() + _NTP_EPOCH_S) * (1 << 32))
        vars_[_RTP] = timestamp
        vars_[_SENT_BYTES] += len(payload)
        vars_[_SENT_PACKETS] += 1


def _has(owner: Any, names: Collection[str]) -> bool:
    return all(name in owner.__dict__ for name in names)
