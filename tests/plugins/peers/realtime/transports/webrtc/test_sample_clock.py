"""The order of time: where a frame of the far end belongs by our clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtpipe_plugins.peers.realtime.transports.webrtc.audio import SampleClock


def test_frames_in_time_keep_their_order_and_distance() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 5000 + 960 * n + 70 * (n % 3)) for n in range(100)]
    assert places == [5000 + 960 * n for n in range(100)]


def test_a_lost_frame_is_a_hole_of_its_length() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 960 * n) for n in (0, 1, 2, 5, 6)]
    assert places == [0, 960, 1920, 4800, 5760]


def test_where_the_far_clock_stood_still_ours_is_right() -> None:
    timeline = SampleClock()
    timeline.place(0, 960, 0)
    assert timeline.place(960, 960, 5 * 48_000) == 5 * 48_000
    assert timeline.place(1920, 960, 5 * 48_000 + 960) == 5 * 48_000 + 960


def test_a_burst_after_a_stall_keeps_every_sample() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 480_000) for n in range(500)]
    assert places == [480_000 + 960 * n for n in range(500)]


def test_a_far_clock_that_leaps_makes_no_hole_of_hours() -> None:
    timeline = SampleClock()
    assert timeline.place(0, 960, 0) == 0
    assert timeline.place(2**31, 960, 960) == 960
    assert timeline.place(2**31 + 960, 960, 1920) == 1920


@given(
    st.lists(
        st.tuples(st.integers(-(2**33), 2**33), st.integers(1, 5760), st.integers(0, 2**33)),
        max_size=30,
    )
)
def test_whatever_the_far_clock_does_time_never_overlaps(
    frames: list[tuple[int, int, int]],
) -> None:
    timeline = SampleClock()
    ends = 0
    for remote, samples, arrived in frames:
        pts = timeline.place(remote, samples, arrived)
        assert pts >= ends
        ends = pts + samples
