"""The jitter buffer without a network, a codec or a clock: hours in a second."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe_webrtc.jitter_buffer import (
    RATE,
    SLOT,
    Conceal,
    JitterBuffer,
    Packet,
    Play,
    Recover,
    Wait,
)

SLOT_S = SLOT / RATE
Delay = Callable[[int], float | None]


@dataclass
class Listener:
    """Takes what a buffer says is to be played, in the time that it takes to play it."""

    buffer: JitterBuffer
    stretches: bool = True
    played: list[tuple[float, int]] = field(default_factory=list)
    made_up: list[tuple[float, int]] = field(default_factory=list)
    longest_gap_s: float = 0.0
    _due: float = 0.0
    _last_end: float | None = None

    def until(self, now: float) -> None:
        """Play what is due before second `now`."""
        while self._due <= now:
            step = self.buffer.take(self._due)
            match step:
                case Wait(until):
                    self._due = now + 1e-9 if until is None else max(until, self._due + 1e-9)
                    if until is None:
                        return
                case Play(packet, surplus):
                    self.played.append((self._due, packet.sequence))
                    self._took(packet.samples - self._stretch(surplus))
                case Recover(_, samples) | Conceal(samples, _):
                    self.made_up.append((self._due, samples))
                    self._took(samples)

    def _took(self, samples: int) -> None:
        if self._last_end is not None:
            self.longest_gap_s = max(self.longest_gap_s, self._due - self._last_end)
        self._due += samples / RATE
        self._last_end = self._due

    def _stretch(self, surplus: int) -> int:
        if not self.stretches:
            return 0
        if surplus > 0:
            return min(surplus, 240) if surplus >= 120 else 0
        return -120 if surplus < 0 else 0


def stream(
    delay: Delay,
    count: int,
    *,
    first: int = 100,
    start: int = 1000,
    ppm: float = 0.0,
    samples: int = SLOT,
) -> list[Packet]:
    """Return packets in the order of their arrival; those with no delay are lost."""
    packets = []
    for n in range(count):
        after = delay(n)
        if after is not None:
            sent = n * samples / RATE * (1 - ppm * 1e-6)
            sequence, timestamp = (first + n) & 0xFFFF, (start + n * samples) & 0xFFFFFFFF
            packets.append(Packet(sequence, timestamp, b"x", samples, sent + after))
    return sorted(packets, key=lambda packet: packet.arrived_s)


def listened(packets: Iterable[Packet], buffer: JitterBuffer, **options: bool) -> Listener:
    """Return what was heard of `packets`."""
    listener = Listener(buffer, **options)
    for packet in packets:
        listener.until(packet.arrived_s)
        buffer.put(packet)
    listener.until(listener._due + 1.0)
    # What fades away behind the last packet is no hole.
    listener.made_up = [hole for hole in listener.made_up if hole[0] < listener.played[-1][0]]
    return listener


def latency_ms(listener: Listener, seconds: slice, first: int = 100) -> float:
    """Return the mean time from sending to playing of a part of the stream (ms)."""
    all = [
        (at - ((sequence - first) & 0xFFFF) * SLOT_S) * 1000
        for at, sequence in listener.played
        if seconds.start <= at < seconds.stop
    ]
    return sum(all) / len(all)


def steady(_: int) -> float:
    return 0.01


def random_delay(seed: int, *, loss: float = 0.0, jitter_s: float = 0.0) -> Delay:
    chance = random.Random(seed)

    def delay(_: int) -> float | None:
        lost, after = chance.random() < loss, chance.random() * jitter_s
        return None if lost else 0.01 + after

    return delay


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


# -- a bad one ---------------------------------------------------------------------------------


def test_one_lost_packet_is_made_up_and_costs_no_time() -> None:
    buffer = JitterBuffer()
    listener = listened(stream(lambda n: None if n == 500 else 0.01, 1000), buffer)
    assert [samples for _, samples in listener.made_up] == [SLOT]
    assert buffer.statistics.lost == 1
    before, after = latency_ms(listener, slice(5, 9.9)), latency_ms(listener, slice(10.1, 19))
    assert after == pytest.approx(before, abs=0.1)
    assert listener.longest_gap_s < 1e-6


def test_a_lost_packet_is_recovered_where_the_next_one_is_there() -> None:
    buffer = JitterBuffer(target_s=0.06)
    packets = stream(lambda n: None if n in {500, 700} else 0.01, 1000)
    packets[500] = replace(packets[500], has_copy=True)
    listener = listened(packets, buffer)
    assert [samples for _, samples in listener.made_up] == [SLOT, SLOT]
    assert (buffer.statistics.lost, buffer.statistics.recovered) == (2, 1)


@pytest.mark.parametrize(
    ("loss", "jitter_s", "most_gap_ms", "least_played"),
    [(0.02, 0.0, 1, 0.979), (0.0, 0.06, 60, 0.97), (0.02, 0.06, 60, 0.95)],
)
def test_ten_bad_minutes_end_as_they_began(
    loss: float, jitter_s: float, most_gap_ms: float, least_played: float
) -> None:
    buffer = JitterBuffer()
    listener = listened(stream(random_delay(1, loss=loss, jitter_s=jitter_s), 30_000), buffer)
    assert latency_ms(listener, slice(590, 599)) == pytest.approx(
        latency_ms(listener, slice(3, 12)), abs=20
    )
    assert listener.longest_gap_s * 1000 < most_gap_ms
    assert len(listener.played) > least_played * 30_000
    counted = buffer.statistics
    assert counted.lost == 30_000 - len(listener.played) - counted.dropped
    made_up = sum(samples for _, samples in listener.made_up)
    assert counted.concealed + counted.recovered * SLOT == pytest.approx(made_up, abs=6 * SLOT)


def test_delay_grows_with_jitter_and_goes_away_with_it() -> None:
    chance = random.Random(3)

    def delay(n: int) -> float:
        return 0.01 + (chance.random() * 0.1 if 1000 <= n < 2000 else 0.0)

    buffer = JitterBuffer()
    listener = listened(stream(delay, 4000), buffer)
    calm, rough = latency_ms(listener, slice(10, 19)), latency_ms(listener, slice(25, 39))
    after = latency_ms(listener, slice(60, 79))
    assert rough > calm + 60
    assert after == pytest.approx(calm, abs=12)
    assert len(listener.played) > 3950


def test_a_stall_of_the_network_leaves_no_delay_behind() -> None:
    def delay(n: int) -> float:  # 500 ms long nothing comes, then all of it
        return 0.01 + max(0.0, 0.5 - (n - 500) * SLOT_S) if n >= 500 else 0.01

    buffer = JitterBuffer()
    listener = listened(stream(delay, 1500), buffer)
    assert latency_ms(listener, slice(14, 19)) < latency_ms(listener, slice(5, 9)) + 20
    late = [at - (sequence - 100) * SLOT_S for at, sequence in listener.played]
    assert max(late) < 0.01 + 0.2 + 0.05
    assert buffer.statistics.dropped >= 10


def test_what_was_kept_up_before_the_call_stood_leaves_no_delay_behind() -> None:
    # 0.8 s of sound comes in an instant, and then the rest in time.
    buffer = JitterBuffer()
    listener = listened(stream(lambda n: 0.01 + max(0.0, (40 - n) * SLOT_S), 500), buffer)
    assert buffer.transit.target_s < 0.025
    assert latency_ms(listener, slice(2, 9)) < 40


def test_a_fixed_target_is_kept() -> None:
    buffer = JitterBuffer(target_s=0.08)
    listener = listened(stream(steady, 500), buffer)
    assert latency_ms(listener, slice(1, 9)) == pytest.approx(90, abs=11)


def test_what_comes_twice_is_played_once() -> None:
    packets = [twin for packet in stream(steady, 100) for twin in (packet, packet)]
    buffer = JitterBuffer()
    listener = listened(packets, buffer)
    assert [sequence for _, sequence in listener.played] == list(range(100, 200))
    assert buffer.statistics.duplicated == 100


# -- a far end with ways of its own ------------------------------------------------------------


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
