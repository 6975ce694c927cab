"""The jitter buffer on a good network, and whatever happens: hours in a second."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe_webrtc.jitter_buffer import SLOT, JitterBuffer, Packet
from webrtc.packet_stream import SLOT_S, Listener, latency_ms, listened, steady, stream

# -- a good network ----------------------------------------------------------------------------


def test_on_a_clean_network_everything_is_played_at_once_and_in_order() -> None:
    buffer = JitterBuffer()
    listener = listened(stream(steady, 3000), buffer)
    assert [sequence for _, sequence in listener.played] == list(range(100, 3100))
    assert listener.made_up == []
    assert latency_ms(listener, slice(5, 60)) < 10 + 15
    assert buffer.transit.target_s < 0.01
    assert buffer.transit.jitter_s < 1e-6
    assert listener.longest_gap_s < 1e-6


def test_the_last_packet_is_played_without_a_next_one() -> None:
    listener = listened(stream(steady, 1), JitterBuffer())
    assert [sequence for _, sequence in listener.played] == [100]


def test_numbers_and_times_wrap_around_unheard() -> None:
    packets = stream(steady, 1000, first=0xFFFF - 300, start=0xFFFFFFFF - 500 * SLOT)
    buffer = JitterBuffer()
    listener = listened(packets, buffer)
    assert [s for _, s in listener.played] == [packet.sequence for packet in packets]
    assert (listener.made_up, buffer.statistics.lost) == ([], 0)


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_a_far_clock_that_runs_unlike_ours_for_an_hour_adds_no_delay(ppm: float) -> None:
    buffer = JitterBuffer()
    waits = []
    listener = Listener(buffer)
    for packet in stream(steady, 60_000, ppm=ppm, samples=3 * SLOT):
        listener.until(packet.arrived_s)
        buffer.put(packet)
        waits.append(buffer.delay_s)
    assert max(waits) < 0.03
    assert len(listener.made_up) <= 2
    assert buffer.statistics.dropped == 0


@pytest.mark.parametrize("samples", [480, 1920, 2880])
def test_packets_of_any_length_are_played(samples: int) -> None:
    buffer = JitterBuffer()
    listener = listened(stream(steady, 200, samples=samples), buffer)
    assert len(listener.played) == 200
    assert listener.made_up == []


# -- whatever happens --------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0.0, 0.15), st.just(0.0)), min_size=1, max_size=300),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.booleans(),
)
def test_every_packet_is_played_once_and_in_order_or_accounted_for(
    delays: list[float | None],
    first: int,
    start: int,
    stretches: bool,  # noqa: FBT001 - hypothesis's
) -> None:
    buffer = JitterBuffer()
    packets = stream(lambda n: delays[n], len(delays), first=first, start=start)
    listener = listened(packets, buffer, stretches=stretches)
    played = [(sequence - first) & 0xFFFF for _, sequence in listener.played]
    assert played == sorted(set(played))
    counted = buffer.statistics
    assert counted.received == len(packets)
    assert counted.received == len(played) + counted.late + counted.dropped
    arrived = {(packet.sequence - first) & 0xFFFF: packet.arrived_s for packet in packets}
    for (at, _), number in zip(listener.played, played, strict=True):
        assert arrived[number] - 1e-9 <= at <= arrived[number] + 0.2 + SLOT_S


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.0, 0.05), min_size=50, max_size=200),
    st.sets(st.integers(1, 198)),
)
def test_what_comes_within_the_target_is_always_played(delays: list[float], lost: set[int]) -> None:
    buffer = JitterBuffer(target_s=0.06)
    packets = stream(lambda n: None if n in lost else delays[n], len(delays))
    packets.insert(0, Packet(99, 1000 - SLOT, b"x", SLOT, -SLOT_S))  # the network at its fastest
    listener = listened(packets, buffer, stretches=False)
    assert len(listener.played) == len(packets)
