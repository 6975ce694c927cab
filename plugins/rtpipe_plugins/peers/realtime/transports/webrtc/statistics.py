"""How the media of a call fare: delay, jitter, loss, and what was made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.events import RealtimeMedia
from rtpipe_webrtc.jitter_buffer import RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_webrtc.jitter_buffer import JitterBuffer


def gauge(media: RealtimeMedia) -> str:
    """Return the figures that fit into a status line."""
    rtt = "" if media.rtt_ms is None else f"rtt {media.rtt_ms:.0f} ms, "
    share = media.packets_lost / max(1, media.packets_received + media.packets_lost)
    return (
        f"{rtt}jitter {media.jitter_ms:.0f} ms, lost {share:.1%}, buffer {media.buffer_ms:.0f} ms"
    )


def media_statistics(report: Mapping[str, Any], buffer: JitterBuffer) -> RealtimeMedia:
    """Return what aiortc's report and our jitter buffer know."""
    of_type = {stats.type: stats for stats in report.values()}
    remote = of_type.get("remote-inbound-rtp")
    rtt_s = None if remote is None else remote.roundTripTime
    counted = buffer.statistics
    received, lost = counted.received, counted.lost
    inbound = of_type.get("inbound-rtp")
    if received == 0 and inbound is not None:  # aiortc's own buffer has them all
        received, lost = inbound.packetsReceived, max(0, inbound.packetsLost)
    return RealtimeMedia(
        rtt_ms=None if rtt_s is None else max(0.0, rtt_s * 1000),
        jitter_ms=buffer.transit.jitter_s * 1000,
        packets_received=received,
        packets_lost=lost,
        packets_recovered=counted.recovered,
        concealed_ms=counted.concealed * 1000 / RATE,
        buffer_ms=buffer.delay_s * 1000,
        target_ms=buffer.transit.target_s * 1000,
        remote_lost=0 if remote is None else remote.packetsLost,
    )
