"""Where frames and silence go in a stream that must be as long as the media time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe_control.view.placement import Placement

RATE = 1000
BEHIND_S = 0.3
FRAME = 20


def test_frames_side_by_side_have_nothing_between_them_however_late_they_come() -> None:
    placement = Placement(RATE, 0.0, BEHIND_S)
    now = 0.0
    for number in range(100_000):  # a microphone that is 1000 ppm slow, over half an hour
        now = number * 0.02002
        assert placement.before(number * FRAME, FRAME, now) == 0
        assert placement.due(now + 0.019) == 0
    assert now > 2000.0
    # a pause: silence for it, not for the two seconds of drift
    assert placement.due(now + BEHIND_S + 0.5) in range(490, 501)


def test_a_hole_is_silence_of_its_length_whether_or_not_the_clock_gave_some() -> None:
    placement = Placement(RATE, 0.0, BEHIND_S)
    assert placement.before(0, FRAME, 0.0) == 0
    given = sum(placement.due(at / 10) for at in range(1, 21))
    assert given == 2000 - 300 - FRAME
    assert given + placement.before(2000, FRAME, 2.0) == 2000 - FRAME
    assert placement.before(2500, FRAME, 2.03) == 500 - FRAME
    assert placement.before(2500 + FRAME, FRAME, 2.05) == 0


def test_time_that_stood_still_cuts_nothing_and_a_later_hole_makes_up_for_it() -> None:
    placement = Placement(RATE, 0.0, BEHIND_S)
    placement.before(0, FRAME, 0.0)
    assert placement.due(1.0) == 1000 - 300 - FRAME
    assert placement.before(FRAME, FRAME, 1.0) == 0, "it comes late, and whole"
    assert placement.before(2 * FRAME + 1000, FRAME, 2.0) == 1000 - 680


def test_a_burst_is_heard_before_silence_is_given_out() -> None:
    placement = Placement(RATE, 0.0, BEHIND_S)
    for number in range(100):
        placement.before(number * FRAME, FRAME, 0.0)
    assert [placement.due(at / 10) for at in range(24)] == [0] * 23 + [0]
    assert placement.due(2.4) == 100


def test_another_clock_is_no_hole() -> None:
    placement = Placement(RATE, 0.0, BEHIND_S)
    placement.before(0, FRAME, 0.0)
    assert placement.before(3_600_000, FRAME, 0.02) == 0
    assert placement.before(3_600_000 + FRAME, FRAME, 0.04) == 0
    assert placement.before(0, FRAME, 0.06) == 0, "a source that was opened again counts from 0"
    assert placement.before(FRAME + 7, FRAME, 0.08) == 7


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.floats(0, 2)).filter(lambda step: step[0] != 1),
        max_size=40,
    )
)
def test_it_is_as_long_as_the_media_time_and_loses_nothing(
    steps: list[tuple[int, float]],
) -> None:
    """Each step: a hole (samples), and how long nothing comes (s), with looks between."""
    placement = Placement(RATE, 0.0, BEHIND_S)
    pts, now, length, frames = 0, 0.0, 0, 0
    silent_by_clock = 0
    for hole, wait_s in [(0, 0.0), *steps]:
        for look in range(1, 11):
            silent_by_clock += (due := placement.due(now + wait_s * look / 10))
            length += due
        now += wait_s
        pts += hole
        length += placement.before(pts, FRAME, now) + FRAME
        pts += FRAME
        frames += 1
    assert length >= frames * FRAME
    assert length >= pts
    assert length <= pts + silent_by_clock
