"""What is told about a call's media."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rtpipe_webrtc.jitter_buffer import JitterBuffer, Packet
from rtpipe_webrtc.statistics import media_statistics


def report(lost: int = 7, **remote: Any) -> dict[str, Any]:
    """Return what aiortc says, as far as it is looked at."""
    inbound = SimpleNamespace(type="inbound-rtp", packetsReceived=90, packetsLost=lost)
    found = {"in": inbound}
    if remote:
        found["out"] = SimpleNamespace(type="remote-inbound-rtp", **remote)
    return found


def filled() -> JitterBuffer:
    buffer = JitterBuffer()
    for n in (0, 1, 3):
        at = n * 0.02 + 0.01 * n
        buffer.put(Packet(n, 960 * n, b"x", 960, at))
    for n in range(4):
        buffer.take(0.2 + n * 0.02)
    return buffer


def test_figures_of_our_own_buffer_come_first() -> None:
    media = media_statistics(report(roundTripTime=0.034, packetsLost=2), filled())
    assert (media.packets_received, media.packets_lost, media.remote_lost) == (3, 1, 2)
    assert media.rtt_ms == 34.0
    assert media.concealed_ms == 20.0
    assert 0 < media.jitter_ms < 10
    assert media.gauge.startswith("rtt 34 ms, jitter 2 ms, lost 25.0%, buffer ")


def test_with_aiortcs_buffer_its_counts_are_told() -> None:
    media = media_statistics(report(), JitterBuffer())
    assert (media.packets_received, media.packets_lost) == (90, 7)
    assert media.rtt_ms is None
    assert media.gauge.startswith("jitter 0 ms, lost 7.2%")


def test_before_anything_has_come_nothing_is_wrong() -> None:
    media = media_statistics({}, JitterBuffer())
    assert (media.packets_received, media.packets_lost, media.rtt_ms) == (0, 0, None)


def test_packets_that_come_twice_are_no_negative_loss() -> None:
    assert media_statistics(report(lost=-3), JitterBuffer()).packets_lost == 0
