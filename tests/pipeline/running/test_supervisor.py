"""on_error and fallback: what happens to a stage that raises, and to everybody else."""

from __future__ import annotations

import numpy as np

from helpers.actors import BATCH, diary, heard, play, whole
from rtpipe.errors import ExitCode, RtpipeError
from rtpipe.testing import run_virtual


def test_fail_ends_the_pipeline_in_order_and_keeps_what_was_recorded() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 1000}
  - fault: 20
  - collect
  - collect: {}
    id: recording
    from: ramp
""")
    )
    assert isinstance(played.error, RtpipeError)
    assert str(played.error) == "fault: ValueError: bad luck with sk-secret-1"
    assert played.error.exit_code == ExitCode.FAILED
    assert len(heard["collect"]) == 19
    assert len(heard["recording"]) >= 20
    assert "close recording" in diary
    assert played.pipeline is not None
    states = {state.id: state for state in played.pipeline.state()}
    assert states["fault"].lost_frames >= 1
    [link] = states["recording"].links
    assert link.frames_in == link.frames_out + link.frames_waiting
    assert link.frames_out == len(heard["recording"])


def test_no_secret_is_in_the_error_or_the_events() -> None:
    text = "stages: [ramp: 20, fault, collect]"
    played = run_virtual(play(text, secrets=frozenset({"sk-secret-1"})))
    assert "bad luck with ***" in str(played.error)
    assert not any("sk-secret-1" in str(event.as_dict()) for event in played.events)


def test_drop_loses_one_frame_and_counts_it() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - fault: {}
    on_error: drop
  - collect
""")
    )
    assert played.error is None
    assert len(heard["collect"]) == 9
    assert played.pipeline is not None
    assert next(s for s in played.pipeline.state() if s.id == "fault").lost_frames == 1
    assert [e.payload()["policy"] for e in played.of("stage.failed")] == ["drop"]


def test_an_inline_stage_restarts_while_the_rest_goes_on() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 200}
  - fault: 10
    on_error: {restart: {backoff_s: [0.2, 1], tries: 3, within_s: 60}}
  - collect
  - collect: {}
    id: recording
    from: ramp
""")
    )
    assert played.error is None
    assert len(heard["recording"]) == 200
    lost = 200 - len(heard["collect"])
    assert 5 <= lost <= 15
    assert played.of("stage.restarted")[0].source == "fault"
    statuses = [
        e.payload()["status"] for e in played.of("stage.status_changed") if e.source == "fault"
    ]
    assert statuses == ["ok", "recovering", "ok", "stopping", "stopped"]


def test_a_source_restarts_with_rising_time_and_a_hole_as_long_as_the_pause() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 50, fail_at: 25}
    on_error: {restart: {backoff_s: [1, 1]}}
  - collect
""")
    )
    assert played.error is None
    assert len(heard["collect"]) == 75  # the checker on the link saw pts rise throughout


def test_restart_gives_up_after_its_tries() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 3000}
  - fault: {at: 2, times: 1000}
    on_error: {restart: {backoff_s: [0.1, 0.2], tries: 3, within_s: 60}}
  - collect
""")
    )
    assert isinstance(played.error, RtpipeError)
    assert len(played.of("stage.restarted")) == 3


def test_what_no_restart_can_change_is_not_restarted() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 300}
  - fault: {for_good: true}
    on_error: {restart: {backoff_s: [0.1, 0.2], tries: 3, within_s: 60}}
  - collect
""")
    )
    assert isinstance(played.error, RtpipeError)
    assert played.error.exit_code == ExitCode.NO_PERMISSION
    assert [e.payload()["policy"] for e in played.of("stage.failed")] == ["restart"]
    assert not played.of("stage.restarted")


def test_a_sink_that_fails_lets_its_feeder_go() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: 200
  - collect: {fail_at: 5}
  - collect: {}
    id: other
    from: ramp
""")
    )
    assert "disk full" in str(played.error)
    assert len(heard["other"]) > 5


def test_a_fallback_takes_over_what_the_surroundings_lack() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - collect: {absent: true}
    fallback: {collect: {delay_s: 0.01}}
""")
    )
    assert played.error is None
    assert np.concatenate(heard["collect"]).size == 10 * BATCH
    fell = played.of("stage.fell_back")[0]
    assert fell.source == "collect"
    assert fell.payload()["reason"] == "no sound card"
    assert fell.payload()["used"] == "collect: 0.01"


def test_a_fallback_is_not_used_for_a_failure_that_is_no_environment_problem() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - fault: 1
    fallback: {plus: 1}
  - collect
""")
    )
    assert played.error is not None
    assert not played.of("stage.fell_back")


def test_a_live_source_replaced_by_a_file_makes_its_links_patient() -> None:
    played = run_virtual(
        play("""
stages:
  - collect: {}
    id: sink
    from: ramp
  - ramp: {live: true}
  - plus: 1
  - collect
""")
    )
    assert played.error is None
    assert len(whole("sink")) == len(whole("collect"))


def test_a_subscriber_that_raises_is_reported_and_ends_nothing() -> None:
    played = run_virtual(play("stages: [ramp, collect]\nevents: [ear: {fail_at: 1}]"))
    assert played.error is None
    failed = played.of("stage.failed")
    assert failed
    assert all(event.source == "ear" for event in failed)


def test_a_burst_of_frames_into_a_failing_inline_stage_restarts_it_once() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: 20
  - fault: {at: 1, times: 1, always: true}
    on_error: {restart: {backoff_s: [0.1, 0.1]}}
  - collect
""")
    )
    assert played.error is None
    assert len(played.of("stage.failed")) == 1


def test_a_fallback_takes_over_from_a_running_stage_whose_surroundings_fail_it() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 50}
  - collect: {unplugged_at: 10}
    fallback: {collect: {}}
""")
    )
    assert played.error is None
    assert 9 + 38 <= len(heard["collect"]) <= 9 + 40
    [fell] = played.of("stage.fell_back")
    assert fell.payload()["reason"] == "the cable is out"
    assert fell.payload()["used"] == "collect"
    assert not played.of("stage.failed")
    statuses = [
        e.payload()["status"] for e in played.of("stage.status_changed") if e.source == "collect"
    ]
    assert statuses == ["ok", "recovering", "ok", "stopping", "stopped"]
    assert diary.count("close collect") == 2


def test_without_a_fallback_it_is_a_failure_like_any_other() -> None:
    played = run_virtual(play("stages: [{ramp: 50}, {collect: {unplugged_at: 10}}]"))
    assert "the cable is out" in str(played.error)


def test_a_fallback_that_cannot_take_over_ends_the_pipeline() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 50}
  - collect: {unplugged_at: 10}
    fallback: {collect: {absent: true}}
""")
    )
    assert "no sound card" in str(played.error)


def test_a_restart_never_moves_on_to_the_fallback() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 3000}
  - fault: {at: 5, open_fails: true}
    on_error: {restart: {backoff_s: [0.1, 0.1], tries: 3}}
    fallback: {plus: 1}
  - collect
""")
    )
    assert "no such thing here any more" in str(played.error)
    assert not played.of("stage.fell_back")
