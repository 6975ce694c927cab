"""The jitter buffer on a bad network: loss, jitter, stalls, twins."""

from __future__ import annotations

import random

import pytest

from rtpipe_webrtc.jitter_buffer import SLOT, JitterBuffer, Play
from webrtc.packet_stream import SLOT_S, Delay, Listener, latency_ms, listened, steady, stream


def random_delay(seed: int, *, loss: float = 0.0, jitter_s: float = 0.0) -> Delay:
    chance = random.Random(seed)

    def delay(_: int) -> float | None:
        lost, after = chance.random() < loss, chance.random() * jitter_s
        return None if lost else 0.01 + after

    return delay


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
    packets[500] = packets[500]._replace(has_copy=True)
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


def test_a_far_end_that_stood_still_is_heard_out_and_leaves_no_delay_behind() -> None:
    def delay(n: int) -> float:  # for 4 s nothing comes, then all of it at once
        late = max(0.0, 4.0 - (n - 500) * SLOT_S) if n >= 500 else 0.0
        return 0.01 + late + n * 1e-6  # one after the other

    buffer = JitterBuffer()
    listener = Listener(buffer)
    silent_from = 100 + 500 + 150  # 3 s of what was kept up are speech, and all else is silence
    for packet in stream(delay, 1500):
        listener.until(packet.arrived_s)
        buffer.put(packet)
        assert buffer.waiting_s < 4.1
        while buffer.behind and buffer._queue and buffer._queue[0].packet.sequence >= silent_from:
            assert isinstance(buffer.take(listener._due), Play)
            buffer.leave_out()
    listener.until(31.0)
    heard = [sequence for _, sequence in listener.played]
    assert heard[: silent_from - 100] == list(range(100, silent_from)), "no word is lost"
    assert heard[-100:] == list(range(1500, 1600))
    assert latency_ms(listener, slice(20, 29)) < latency_ms(listener, slice(5, 9)) + 20
    assert buffer.statistics.lost == 0
    assert not buffer.behind
