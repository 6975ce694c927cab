"""The audio watch: when audio flows, who keeps it from flowing, and how a run with a limit ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from helpers.actors import registry
from rtpipe import Event, Importance, Options, Source, Transform, audio, hookimpl
from rtpipe.audio import AudioFrame
from rtpipe.cli.audio_watch import AudioWatch
from rtpipe.errors import ExitCode, RtpipeError
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual

WATCHED = {
    "pipeline.audio_started",
    "pipeline.stopping",
    "pipeline.ended",
    "stage.waiting",
    "stage.audio_started",
}


@dataclass(frozen=True, kw_only=True)
class LampBroken(Event):
    importance = Importance.WARNING
    type: str = "tardy.lamp_broken"

    def line(self) -> str:
        return "the lamp of sk-1 is broken"


class TardyOptions(Options):
    main: ClassVar[str | None] = "after_s"

    after_s: float = 0.0
    frames: int = 100_000
    opens_s: float = 0.0
    trouble: bool = False
    fails_at: int | None = None


class Tardy(Source[TardyOptions]):
    """Opens in its own time, and then gives audio in its own time, or never."""

    kind = "tardy"
    publishes = (LampBroken,)

    @classmethod
    def has_clock(cls, options: TardyOptions) -> bool:
        return True

    async def open(self) -> None:
        await asyncio.sleep(self.options.opens_s)

    async def frames(self) -> AsyncIterator[AudioFrame]:
        if self.options.trouble:
            self.ctx.publish(LampBroken())
        await asyncio.sleep(self.options.after_s)
        for number in range(self.options.frames):
            if number == self.options.fails_at:
                raise OSError("no lamp")
            yield audio.silence(960, pts=number * 960)
            await asyncio.sleep(0.02)


class Swallow(Transform[Options]):
    """A push-to-talk gate that nobody presses."""

    kind = "swallow"

    def process(self, frame: AudioFrame) -> None:
        return None


class Plugin:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Tardy, Swallow]


@dataclass
class Run:
    events: list[Event]
    failure: RtpipeError | None
    took_s: float

    def said(self) -> list[str]:
        """What is told of flowing and waiting, and of the end: `seconds who line`."""
        return [f"{e.at:.1f} {e.source} {e.line()}" for e in self.events if e.type in WATCHED]


def watched(stages: str, limit_s: float | None = None, stop_at: float | None = None) -> Run:
    """Run a pipeline with the watch, as `rtpipe run` does."""
    plugins = registry()
    assert plugins.register(Plugin(), "tardy").error is None
    watch = AudioWatch(limit_s)
    plugins.register(watch, "audio_watch")
    events: list[Event] = []

    async def play() -> float:
        loaded = from_text(f"version: 1\nstages: {stages}", registry=plugins)
        pipeline = Pipeline(loaded.graph, registry=plugins)
        pipeline.bus.subscribe("*", events.append)
        if stop_at is not None:
            asyncio.get_running_loop().call_later(stop_at, pipeline.stop, "SIGINT")
        await pipeline.run()
        return pipeline.clock.now()

    took_s = run_virtual(play())
    assert "plugin.failed" not in {event.type for event in events}
    return Run(events, next(iter(watch.failures.values()), None), took_s)


def test_the_limit_counts_from_when_audio_flows() -> None:
    run = watched("[tardy: {opens_s: 2, after_s: 8}, collect]", limit_s=3)
    assert run.said() == [
        "7.1 tardy has given no audio after 5 s",
        "10.0 tardy gives audio after 7.9 s",
        "10.0 pipeline audio flows after 10.0 s, 2.0 s of it to open the stages",
        "13.0 pipeline stopping: 3 s are over",
        "13.0 pipeline ended: 3 s are over",
    ]
    assert run.failure is None


def test_a_run_without_audio_fails_and_names_the_source_and_why() -> None:
    stages = "[{tardy: {after_s: 999, trouble: true}, id: camera}, collect]"
    run = watched(stages, limit_s=2)
    assert run.said()[1:] == [
        "30.0 pipeline stopping: no audio within 30 s",
        "30.0 pipeline ended: no audio within 30 s",
    ]
    assert run.failure is not None
    assert run.failure.exit_code is ExitCode.UNAVAILABLE
    assert run.failure.message == (
        "no audio within 30 s: `camera` has given none (the lamp of sk-1 is broken)"
    )


def test_a_longer_limit_waits_longer_for_audio() -> None:
    assert watched("[tardy: 999, collect]", limit_s=50).took_s == pytest.approx(50, abs=0.2)
    assert watched("[tardy: 40, collect]", limit_s=50).failure is None


def test_without_a_limit_nothing_is_ended_and_each_source_is_named_once() -> None:
    stages = (
        "[{tardy: 0, id: mic}, {tardy: 999, id: bell}, {tardy: 8, id: door}, "
        "{weave: 1, from: [mic, bell, door]}, collect]"
    )
    run = watched(stages, stop_at=120)
    assert [line for line in run.said() if "pipeline" not in line] == [
        "5.1 bell has given no audio after 5 s",
        "5.1 door has given no audio after 5 s",
        "8.0 door gives audio after 7.9 s",
    ]
    assert run.took_s == pytest.approx(120, abs=3)
    assert run.failure is None


def test_a_stage_that_is_being_opened_is_named_and_not_those_that_wait_for_it() -> None:
    opened_in_turn = (
        "[{tardy: {opens_s: 12}, id: mic}, {tardy: {opens_s: 8}, id: bell}, "
        "{weave: 1, from: [mic, bell]}, collect]"
    )
    run = watched(opened_in_turn, stop_at=40)
    assert run.said()[:2] == [
        "18.1 mic is still being opened after 10 s",
        "20.1 pipeline audio flows after 20.1 s, 20.0 s of it to open the stages",
    ]
    hung = watched("[{tardy: {opens_s: 50}, id: mic}, collect]", limit_s=1)
    assert hung.failure is not None
    assert hung.failure.message == "no audio within 30 s: `mic` is still being opened"
    assert hung.failure.exit_code is ExitCode.UNAVAILABLE


def test_where_every_source_gives_audio_the_stage_that_holds_it_is_named() -> None:
    run = watched("[tardy, swallow, collect]", limit_s=1)
    assert run.failure is not None
    assert run.failure.message == "no audio within 30 s: nothing has come out of `swallow`"
    assert not [line for line in run.said() if "no audio after" in line]


def test_a_stage_that_is_down_when_the_time_is_over_is_a_failure() -> None:
    stages = (
        "[{tardy: {fails_at: 50}, on_error: {restart: {backoff_s: [9, 9], tries: 5}}}, collect]"
    )
    run = watched(stages, limit_s=5)
    assert run.failure is not None
    assert run.failure.exit_code is ExitCode.TEMPORARY
    assert run.failure.message == "tardy: was down when 5 s are over: no lamp"


def test_a_source_that_was_restarted_and_gives_nothing_is_named_again() -> None:
    policy = "on_error: {restart: {backoff_s: [1, 1], tries: 9}}"
    run = watched(f"[{{tardy: {{after_s: 20, fails_at: 50}}, {policy}}}, collect]", stop_at=45)
    said = [line for line in run.said() if " tardy " in line]
    assert [line.partition(":")[0].split(" ", 1)[1] for line in said] == [
        "tardy has given no audio after 5 s",
        "tardy gives audio after 19.9 s",
        "tardy has given no audio after 5 s",
        "tardy gives audio after 20.0 s",
    ]
    assert ": OSError: no lamp at " in said[2]


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    assert watched("[tardy: 999, collect]", limit_s=60, stop_at=20).failure is None


def test_what_ends_by_itself_is_no_failure() -> None:
    run = watched("[tardy: {frames: 100}, collect]", limit_s=60)
    assert run.took_s < 5
    assert run.failure is None
    assert run.said()[0] == "0.1 pipeline audio flows after 0.1 s"


def test_a_source_that_has_ended_without_audio_is_not_waited_for() -> None:
    stages = (
        "[{tardy: {frames: 0}, id: bell}, {tardy: 0, id: mic}, "
        "{weave: 1, from: [bell, mic]}, collect]"
    )
    assert not [line for line in watched(stages, stop_at=20).said() if "bell" in line]


def test_people_are_told_of_a_first_sound_that_was_late() -> None:
    soon, late = (watched(f"[tardy: {after_s}, collect]", limit_s=1) for after_s in (0.3, 2))
    told = [
        next(event for event in run.events if event.type == "pipeline.audio_started")
        for run in (soon, late)
    ]
    assert [type(event).importance for event in told] == [Importance.INFO, Importance.NOTICE]
