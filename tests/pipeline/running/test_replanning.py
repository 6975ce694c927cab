"""A fallback that takes over changes what is live, what waits, and what is converted."""

from __future__ import annotations

import pytest

from helpers.actors import BATCH, diary, heard, lively, play, whole
from rtpipe.testing import run_virtual


@pytest.mark.parametrize(
    "way", ["- plus: 0", "- plus: 0\n    queue: {max_ms: 40}"], ids=["inline", "queued"]
)
def test_what_reads_a_live_source_is_not_live_after_it_fell_back_to_a_file(way: str) -> None:
    """And the file is not thrown away as if it could not wait."""
    played = run_virtual(
        play(f"""
stages:
  - ramp: {{live: true, frames: 100, unplugged_at: 25}}
    fallback: {{ramp: 400}}
  {way}
  - collect: {{delay_s: 0.005}}
""")
    )
    assert played.error is None
    assert not played.of("link.dropped")
    assert whole("collect").size == 25 * 960 + 400 * BATCH
    assert lively["collect"][:20] == [True] * 20
    assert lively["collect"][-400:] == [False] * 400


def test_what_reads_a_file_is_live_after_it_fell_back_to_a_device() -> None:
    """And the device's audio is fresh: what nobody takes in time is dropped."""
    played = run_virtual(
        play("""
stages:
  - ramp: {frames: 100, unplugged_at: 10}
    fallback: {ramp: {live: true, frames: 100}}
  - collect: {delay_s: 0.03}
""")
    )
    assert played.error is None
    assert lively["collect"][0] is False
    assert lively["collect"][-1] is True
    assert played.of("link.dropped")


def test_whoever_still_reads_something_live_stays_live() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 100, unplugged_at: 25}
    id: one
    fallback: {ramp: 4}
  - ramp: {live: true, frames: 100}
    id: two
  - collect: {}
    id: first
    from: one
  - weave: {}
    from: [one, two]
  - collect
""")
    )
    assert lively["first"][-1] is False
    assert set(lively["collect"]) == {True}
    assert played.error is None


def test_a_call_paces_the_file_that_a_microphone_fell_back_to() -> None:
    """Both are recorded whole: the file waits for the call, and the recording with it."""
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 100, unplugged_at: 25}
    fallback: {ramp: 200}
  - echo
  - gather: {}
    from: [ramp, echo]
""")
    )
    assert played.error is None
    assert not played.of("link.dropped")
    assert sum(map(len, heard["gather/0"])) == 225 * 960
    assert sum(map(len, heard["gather/1"])) == (225 + 3) * 960


def test_the_source_that_takes_over_makes_frames_as_long_as_the_pipeline_now_has_them() -> None:
    run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 100, unplugged_at: 2}
    fallback: {ramp: 2}
  - collect
""")
    )
    assert [len(frame) for frame in heard["collect"]] == [960, 960, BATCH, BATCH]


def test_a_sink_that_takes_over_gets_the_format_that_it_takes() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 50}
  - narrow: {unplugged_at: 10}
    fallback: {collect: {}}
""")
    )
    assert played.error is None
    lengths = [len(frame) for frame in heard["narrow"]]
    assert {*lengths[1:9]} == {320}
    assert len(lengths) > 40
    assert {*lengths[9:]} == {960}


def test_what_waits_in_the_format_of_the_sink_before_is_not_given_to_the_next() -> None:
    run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 50}
  - narrow: {unplugged_at: 10, delay_s: 0.03}
    on_error: drop
    fallback: {collect: {}}
""")
    )
    assert {len(frame) for frame in heard["narrow"][9:]} == {960}


def test_a_transform_with_a_thread_may_fall_back_to_one_without() -> None:
    played = run_virtual(
        play("stages: [{ramp: 3}, {ponder: {absent: true}, fallback: {plus: 1}}, collect]")
    )
    assert played.error is None
    assert whole("collect")[0] == 1


def test_a_transform_without_a_thread_may_fall_back_to_one_that_needs_it() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: 3
  - ponder: {absent: true}
    fallback: {ponder: {}}
  - collect
""")
    )
    assert played.error is None
    assert not any(name == "MainThread" for name in diary if "hread" in name)
