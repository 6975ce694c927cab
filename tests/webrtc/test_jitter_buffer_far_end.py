"""The jitter buffer and a far end with ways of its own: pauses, restarts, floods."""

from __future__ import annotations

import pytest

from rtpipe_webrtc.jitter_buffer import RATE, SLOT, JitterBuffer, Packet, Play, Wait
from webrtc.packet_stream import SLOT_S, Listener, listened, steady, stream


def paused(pause_s: float, *, clock_runs_on: bool) -> list[Packet]:
    packets = stream(steady, 100)
    skipped = round(pause_s * RATE) if clock_runs_on else 0
    for packet in stream(steady, 100, first=200, start=1000 + 100 * SLOT + skipped):
        packets.append(
            Packet(packet.sequence, packet.timestamp, b"x", SLOT, packet.arrived_s + 2 + pause_s)
        )
    return packets


@pytest.mark.parametrize("clock_runs_on", [True, False])
@pytest.mark.parametrize("pause_s", [0.3, 3.0, 3600.0])
def test_a_far_end_that_pauses_is_heard_again_at_once(
    pause_s: float,
    clock_runs_on: bool,  # noqa: FBT001 - pytest's
) -> None:
    buffer = JitterBuffer()
    packets = paused(pause_s, clock_runs_on=clock_runs_on)
    listener = listened(packets, buffer)
    assert [sequence for _, sequence in listener.played] == list(range(100, 300))
    heard = {sequence: at for at, sequence in listener.played}
    assert heard[200] - packets[100].arrived_s < 0.05
    assert heard[290] - packets[190].arrived_s < 0.05
    assert buffer.transit.jitter_s < 0.03  # a pause is no jitter
    assert buffer.statistics.lost == 0
    assert sum(samples for _, samples in listener.made_up) <= 2 * 6 * SLOT


def test_another_stream_goes_on_where_the_first_ended() -> None:
    buffer = JitterBuffer()
    listener = Listener(buffer)
    for packet in stream(steady, 100):
        listener.until(packet.arrived_s)
        buffer.put(packet)
    buffer.restart()
    for packet in stream(steady, 100, first=40_000, start=7):
        late = Packet(packet.sequence, packet.timestamp, b"x", SLOT, packet.arrived_s + 2.0)
        listener.until(late.arrived_s)
        buffer.put(late)
    listener.until(5.0)
    assert [s for _, s in listener.played] == [*range(100, 200), *range(40_000, 40_100)]
    assert buffer.statistics.lost == 0


def test_a_far_end_that_starts_again_without_a_word_is_followed() -> None:
    buffer = JitterBuffer()
    packets = stream(steady, 100)
    for packet in stream(steady, 100, first=40_000, start=3_000_000_000):
        packets.append(
            Packet(packet.sequence, packet.timestamp, b"x", SLOT, packet.arrived_s + 2.0)
        )
    listener = listened(packets, buffer)
    played = [sequence for _, sequence in listener.played]
    assert played == [*range(100, 200), *range(40_001, 40_100)]  # the first might have strayed


def test_one_stray_packet_changes_nothing() -> None:
    packets = stream(steady, 200)
    packets.insert(100, Packet(30_000, 5, b"?", SLOT, packets[100].arrived_s))
    listener = listened(packets, JitterBuffer())
    assert [sequence for _, sequence in listener.played] == list(range(100, 300))
    assert listener.made_up == []


def test_what_is_cleared_is_never_played_and_what_comes_next_is() -> None:
    buffer = JitterBuffer(target_s=0.1)
    listener = Listener(buffer)
    packets = stream(steady, 100)
    for packet in packets[:50]:
        listener.until(packet.arrived_s)
        buffer.put(packet)
    assert buffer.clear() == pytest.approx(0.1, abs=0.041)
    before = len(listener.played)
    for packet in packets[48:]:  # two of them come again, late
        listener.until(packet.arrived_s)
        buffer.put(packet)
    listener.until(5.0)
    assert before < 50
    assert [s for _, s in listener.played[before:]] == list(range(150, 200))
    assert buffer.statistics.lost == 0


def test_what_was_still_on_its_way_when_all_was_cleared_is_not_played() -> None:
    buffer = JitterBuffer(target_s=0.1)
    late, *rest = stream(steady, 3)
    for packet in rest:
        buffer.put(packet)
    buffer.clear()
    buffer.put(late)
    assert buffer.take(10.0) == Wait(None)


def test_a_flood_is_bounded() -> None:
    buffer = JitterBuffer()
    for packet in stream(lambda n: 0.01 - n * SLOT_S, 5000):
        buffer.put(packet)
    assert buffer.waiting_s <= 10.0
    assert isinstance(buffer.take(0.06), Play)
    assert buffer.waiting_s < 0.25
