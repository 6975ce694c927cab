"""Media statistics of a call (RTCP, jitter buffer): delay, jitter, loss, what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_webrtc.jitter_buffer import JitterBuffer


@dataclass(frozen=True, kw_only=True)
class MediaStatistics:
    """How the sound of a call fares. Counts are since the call began.

    Attributes:
        rtt_ms: Round trip time by RTCP; None until the far end has reported.
        jitter_ms: How unevenly packets come (RFC 3550).
        packets_received: Packets that came.
        packets_lost: Packets that were not there when they were needed.
        packets_recovered: Those of them that were made up from the next packet.
        concealed_ms: Sound that was made up without anything to go by.
        buffer_ms: How long packets are being kept back.
        target_ms: How long they should be.
        remote_lost: Packets of ours that the far end says it misses.
        junk_packets: Datagrams that came and did not belong to the call; they were dropped.
    """

    rtt_ms: float | None
    jitter_ms: float
    packets_received: int
    packets_lost: int
    packets_recovered: int
    concealed_ms: float
    buffer_ms: float
    target_ms: float
    remote_lost: int
    junk_packets: int = 0

    @property
    def gauge(self) -> str:
        """The figures that fit into a status line."""
        rtt = "" if self.rtt_ms is None else f"rtt {self.rtt_ms:.0f} ms, "
        share = self.packets_lost / max(1, self.packets_received + self.packets_lost)
        jitter, buffer = f"jitter {self.jitter_ms:.0f} ms", f"buffer {self.buffer_ms:.0f} ms"
        junk = f", junk {self.junk_packets}" if self.junk_packets else ""
        return f"{rtt}{jitter}, lost {share:.1%}, {buffer}{junk}"


def media_statistics(
    report: Mapping[str, Any], buffer: JitterBuffer, junk_packets: int = 0
) -> MediaStatistics:
    """Return what aiortc's report and our jitter buffer know.

    Args:
        report: What `RTCPeerConnection.getStats` returns.
        buffer: Of the call; empty where aiortc's own is used, which tells only its losses.
        junk_packets: See `MediaStatistics`.
    """
    from rtpipe_webrtc.jitter_buffer import RATE

    of_type = {stats.type: stats for stats in report.values()}
    remote = of_type.get("remote-inbound-rtp")
    rtt_s = None if remote is None else remote.roundTripTime
    counted = buffer.statistics
    received, lost = counted.received, counted.lost
    inbound = of_type.get("inbound-rtp")
    if received == 0 and inbound is not None:  # aiortc's own buffer has them all
        received, lost = inbound.packetsReceived, max(0, inbound.packetsLost)
    return MediaStatistics(
        rtt_ms=None if rtt_s is None else max(0.0, rtt_s * 1000),
        jitter_ms=buffer.transit.jitter_s * 1000,
        packets_received=received,
        packets_lost=lost,
        packets_recovered=counted.recovered,
        concealed_ms=counted.concealed * 1000 / RATE,
        buffer_ms=buffer.delay_s * 1000,
        target_ms=buffer.transit.target_s * 1000,
        remote_lost=0 if remote is None else remote.packetsLost,
        junk_packets=junk_packets,
    )
