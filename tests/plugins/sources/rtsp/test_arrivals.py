"""The jitter buffer of a stream: bursts, a backlog, a gap."""

from rtpipe import AudioFrame, audio
from rtpipe_plugins.sources.rtsp.arrivals import ArrivalBuffer


def frames(first: int, count: int) -> list[AudioFrame]:
    return [audio.silence(960, pts=n * 960) for n in range(first, first + count)]


def test_bursts_come_out_evenly() -> None:
    """G.711 from some servers comes in packets of 167 ms."""
    buffer = ArrivalBuffer(margin=3, limit=50)
    came = missed = 0
    for tick in range(500):
        arrived = tick * 20 // 167 * 167 // 20
        buffer.push(frames(came, arrived - came))
        came = arrived
        missed += buffer.pull() is None and tick > 100
    assert missed == 0


def test_a_backlog_is_dropped_within_two_seconds() -> None:
    buffer = ArrivalBuffer(margin=3, limit=50)
    buffer.push(frames(0, 100))
    depths = []
    for n in range(100):
        buffer.push(frames(100 + n, 1))
        assert buffer.pull() is not None
        depths.append(len(buffer))
    assert depths[0] == 49
    assert depths[-1] == 3


def test_after_a_gap_a_margin_is_gathered_again() -> None:
    buffer = ArrivalBuffer(margin=3, limit=50)
    buffer.push(frames(0, 3))
    given = [buffer.pull() is not None for _ in range(4)]
    buffer.push(frames(3, 2))
    given.append(buffer.pull() is not None)
    buffer.push(frames(5, 1))
    given.append(buffer.pull() is not None)
    assert given == [True, True, True, False, False, True]


def test_what_came_and_was_not_given_out_is_counted() -> None:
    buffer = ArrivalBuffer(margin=3, limit=50)
    buffer.push(frames(0, 100))
    given = 0
    for n in range(100):
        buffer.push(frames(100 + n, 1))
        given += buffer.pull() is not None
    assert buffer.dropped == 200 - given - len(buffer) == 97
