"""The runtime: what reaches whom, how streams end, and in what order stages open and close."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from helpers.actors import BATCH, diary, heard, play, whole
from rtpipe.errors import ExitCode, StageError
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual

RAMP = np.arange(10 * BATCH, dtype=np.int64) % 1000  # ten batch frames


def test_a_chain_carries_every_sample_in_order() -> None:
    played = run_virtual(play("stages: [ramp, plus: 5, collect]"))
    assert played.error is None
    assert np.array_equal(whole("collect"), RAMP + 5)
    assert played.events[-1].payload() == {"reason": "end of stream"}


def test_a_transform_may_give_several_frames_and_last_ones() -> None:
    run_virtual(play("stages: [ramp, twice, plus: 1, collect]"))
    assert len(heard["collect"]) == 21
    assert np.array_equal(whole("collect")[:-960], RAMP + 1)
    assert set(whole("collect")[-960:]) == {8}


@pytest.mark.parametrize("fuse", ["true", "false"])
def test_a_tee_gives_the_writer_a_frame_of_its_own(fuse: str) -> None:
    run_virtual(
        play(f"""
fuse: {fuse}
stages:
  - ramp
  - plus: 100
  - collect: {{}}
  - collect:
    id: plain
    from: ramp
""")
    )
    assert np.array_equal(whole("collect"), RAMP + 100)
    assert np.array_equal(whole("plain"), RAMP)


def test_sharing_is_seen_through_a_stage_that_passes_frames_on() -> None:
    run_virtual(
        play("""
stages:
  - ramp
  - fault: {times: 0}
  - plus: 100
  - collect
  - collect: {}
    id: plain
    from: ramp
""")
    )
    assert np.array_equal(whole("plain"), RAMP)


def test_fused_and_queued_give_the_same_samples() -> None:
    outputs = []
    for fuse in ("true", "false"):
        text = f"fuse: {fuse}\nstages: [ramp: 40, plus: 1, twice, plus: 2, collect]"
        run_virtual(play(text))
        outputs.append(whole("collect"))
    assert len(outputs[0]) == 40 * BATCH + 960
    assert np.array_equal(*outputs)


def test_frames_are_long_where_nothing_has_a_clock_and_20_ms_where_something_has() -> None:
    run_virtual(play("stages: [ramp, collect]"))
    assert len(heard["collect"][0]) == BATCH
    run_virtual(play("stages: [ramp: {live: true}, collect]"))
    assert len(heard["collect"][0]) == 960


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("stages: [ramp, collect]\nevents: [{match: pipeline.started, do: collect.note}]", 960),
        ("stages: [ramp, collect]\nevents: [ear]", BATCH),
        ("stages: [ramp, collect: {noted_on: [pipeline.started]}]", 960),
        ("stages: [ramp, collect: {noted_on: []}]", BATCH),
    ],
)
def test_frames_are_short_where_events_set_anything_off(text: str, samples: int) -> None:
    """An action is done between two frames: a file becomes what a microphone would have."""
    run_virtual(play(text))
    assert len(heard["collect"][0]) == samples


def test_an_hour_of_live_audio_passes_in_virtual_time() -> None:
    async def main() -> tuple[float, Any]:
        before = asyncio.get_running_loop().time()
        await play("stages: [ramp: {live: true, frames: 3000}, collect]")
        return asyncio.get_running_loop().time() - before, len(heard["collect"])

    took, frames = run_virtual(main())
    assert frames == 3000
    assert took == pytest.approx(2999 * 0.02)


def test_a_slow_sink_loses_its_own_audio_and_nobody_elses() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp: {live: true, frames: 100}
  - collect: {delay_s: 0.1}
    id: slow
  - collect: {}
    id: quick
    from: ramp
""")
    )
    assert len(heard["quick"]) == 100
    assert len(heard["slow"]) < 40
    assert played.pipeline is not None
    slow = next(s for s in played.pipeline.state() if s.id == "slow").links[0]
    assert slow.frames_in == 100
    assert slow.frames_out + slow.frames_dropped + slow.frames_trimmed == 100
    told = [event.payload() for event in played.of("link.dropped")]
    assert {event.source for event in played.of("link.dropped")} == {"slow"}
    assert sum(event["dropped_ms"] for event in told) == slow.dropped_ms == told[-1]["total_ms"]


def test_a_file_waits_for_a_slow_sink() -> None:
    run_virtual(play("stages: [ramp: 50, collect: {delay_s: 0.5}]"))
    assert len(heard["collect"]) == 50


def test_sinks_open_first_and_sources_close_first() -> None:
    run_virtual(play("stages: [ramp, collect]"))
    assert diary == ["open collect", "open ramp", "close ramp", "close collect"]


def test_a_sink_with_two_inlets_knows_them_by_the_order_of_from() -> None:
    run_virtual(
        play("""
stages:
  - ramp
  - plus: 1
  - gather: {}
    from: [plus, ramp]
""")
    )
    assert np.array_equal(whole("gather/0"), RAMP + 1)
    assert np.array_equal(whole("gather/1"), RAMP)


def test_a_peer_finishes_its_sentence_after_the_input_ended() -> None:
    run_virtual(play("stages: [ramp, echo, collect]"))
    assert set(whole("collect")[-3 * 960 :]) == {5}
    assert np.array_equal(whole("collect")[: 10 * 960], -RAMP[: 10 * 960])


def test_stop_ends_a_live_source_and_drains() -> None:
    async def stop_soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(1.0)
        pipeline.stop("enough")

    played = run_virtual(
        play("stages: [ramp: {live: true, frames: 10000}, collect]", meanwhile=stop_soon)
    )
    assert played.error is None
    assert 49 <= len(heard["collect"]) <= 52
    assert played.events[-1].payload() == {"reason": "enough"}
    assert diary[-1] == "close collect"


def test_a_stop_has_a_deadline_even_for_a_sink_that_hangs() -> None:
    async def main() -> float:
        async def stop_soon(pipeline: Pipeline) -> None:
            await pipeline.clock.sleep_until(1.0)
            pipeline.stop("enough")

        text = "stages: [ramp: {live: true, frames: 10000}, collect: {stuck: true}]"
        await play(text, meanwhile=stop_soon)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= 1.0 + 2.0 + 0.5 + 0.1
    assert "close collect" in diary


def test_a_peer_that_hangs_is_cut_off_and_its_sink_still_closes_in_order() -> None:
    async def stop_soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(1.0)
        pipeline.stop("enough")

    text = "stages: [ramp: {live: true, frames: 10000}, echo: {stuck: true}, collect]"
    played = run_virtual(play(text, meanwhile=stop_soon))
    assert played.error is None
    assert len(heard["collect"]) >= 49
    assert diary[-1] == "close collect"


def test_cancelling_closes_every_opened_stage() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(play("stages: [ramp: {live: true, frames: 10000}, collect]"))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert diary[-2:] == ["close ramp", "close collect"]


def test_flush_drops_what_waits_in_a_stage_and_after_it() -> None:
    flushed: list[float] = []

    async def flush_soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(1.003)
        flushed.append(pipeline.flush("collect"))

    played = run_virtual(
        play(
            "stages: [ramp: {live: true, frames: 80}, collect: {delay_s: 0.05}]",
            meanwhile=flush_soon,
        )
    )
    assert flushed[0] > 0
    assert played.of("link.flushed")[0].payload() == {"flushed_ms": flushed[0]}


def test_a_stage_can_have_what_it_gave_out_dropped_and_keeps_what_waits_for_it() -> None:
    async def hush_soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(1.003)
        pipeline.perform("echo", "hush")

    text = "stages: [ramp: {live: true, frames: 80}, echo, collect: {delay_s: 0.05}]"
    played = run_virtual(play(text, meanwhile=hush_soon))
    (hushed,) = [float(line.split()[1]) for line in diary if line.startswith("hushed")]
    assert hushed > 0
    assert played.of("link.flushed")[0].payload() == {"flushed_ms": hushed}
    assert played.pipeline is not None
    (echo,) = [state for state in played.pipeline.state() if state.id == "echo"]
    assert [link.flushed_ms for link in echo.links] == [0.0]


def test_flush_leaves_what_a_recorder_keeps() -> None:
    async def flush_soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(1.003)
        pipeline.flush("ramp")

    run_virtual(
        play(
            "stages: [ramp: {live: true, frames: 80}, gather: {delay_s: 0.03}]",
            meanwhile=flush_soon,
        )
    )
    assert len(heard["gather/0"]) == 80


def test_a_failing_start_closes_what_was_opened() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - collect: {absent: true}
  - collect: {}
    id: other
    from: ramp
""")
    )
    assert isinstance(played.error, Exception)
    assert getattr(played.error, "exit_code", None) == ExitCode.UNAVAILABLE
    assert "close other" in diary
    assert "open ramp" not in diary


def test_an_unknown_action_is_refused() -> None:
    async def main() -> None:
        async def call(pipeline: Pipeline) -> None:
            await pipeline.clock.sleep_until(0.5)
            with pytest.raises(StageError, match="no action `dance`"):
                pipeline.perform("collect", "dance")
            diary.append("refused")

        await play("stages: [ramp: {live: true, frames: 50}, collect]", meanwhile=call)

    run_virtual(main())
    assert "refused" in diary


def test_a_transform_with_two_inlets_hears_both_and_taps_a_sink() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - plus: 1
  - weave: {}
    from: [plus, ramp]
  - collect
""")
    )
    assert played.error is None
    assert np.array_equal(whole("collect"), 2 * RAMP + 1)
    assert diary.count(f"tapped {BATCH}") == 10
    assert [line for line in diary if "ended" in line or line == "finished"][-1] == "finished"
    assert {"inlet 0 ended", "inlet 1 ended"} <= set(diary)


def test_a_tap_on_nothing_is_refused() -> None:
    played = run_virtual(
        play("""
stages:
  - ramp
  - ramp: {}
    id: other
  - weave: {}
    from: [ramp, other]
  - collect: {}
    id: elsewhere
""")
    )
    assert "no `collect` to listen to" in str(played.error)


def test_a_stop_while_stages_still_open_does_not_wait_for_them() -> None:
    async def main() -> float:
        async def stop_soon(pipeline: Pipeline) -> None:
            await pipeline.clock.sleep_until(1.0)
            pipeline.stop("impatience")

        await play("stages: [ramp, collect: {opens_in_s: 30}]", meanwhile=stop_soon)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(1.0)
    assert diary == ["close collect"]
