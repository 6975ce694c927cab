"""Stages that come, go and change places while audio moves: every frame is accounted for."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from helpers.actors import Collect, Plus, diary, heard, loads, whole
from rtpipe import Options, RtpipeError, Sink, StageError, audio, hookimpl
from rtpipe.audio import AudioFrame
from rtpipe.events import Event
from rtpipe.testing import run_virtual

TEXT = "version: 1\nstages:\n  - ramp: {live: true, frames: 150}\n"
FILE = "version: 1\nstages:\n  - ramp: 60\n"
QUEUED = "  - fault: 1000\n    queue: {max_ms: 100}\n"


def steps(samples: Any) -> int:
    """Return how often the counting tone jumps."""
    return int(np.count_nonzero(np.diff(samples.astype(int)) % 1000 != 1))


async def played(first: str, *later: str, at_s: float = 0.507, plugins: Any = ()) -> list[Event]:
    """Run `first` to its end; it becomes each of `later`, `at_s` apart. Returns the events."""
    heard.clear()
    diary.clear()
    pipeline = loads(first, *plugins)
    events: list[Event] = []
    pipeline.bus.subscribe("*", events.append)
    running = asyncio.create_task(pipeline.run())
    for text in later:
        await asyncio.sleep(at_s)
        await pipeline.apply(loads(text, *plugins).graph)
    await running
    return events


def of(events: list[Event], type: str) -> list[Event]:
    return [event for event in events if event.type == type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  - collect\n", "  - fault: 1000\n  - collect\n"),
        ("  - collect\n", QUEUED + "  - collect\n"),
        ("  - collect\n", "  - ponder\n  - collect\n"),
        ("  - fault: 1000\n  - collect\n", QUEUED + "  - collect\n"),
        ("  - fault: 1000\n  - collect\n", "  - fault: 2000\n  - collect\n"),
        (QUEUED + "  - collect\n", QUEUED.replace("1000", "2000") + "  - collect\n"),
        ("  - collect\n", "  - collect: 0.001\n"),
        ("  - collect\n", "  - collect\n  - collect:\n    id: other\n    from: ramp\n"),
    ],
)
@pytest.mark.parametrize("source", [TEXT, FILE], ids=["live", "file"])
def test_nothing_is_lost_or_out_of_order(before: str, after: str, source: str) -> None:
    """Whatever comes or goes, in both directions; behind a slow sink, so that queues are full."""
    texts = [source + before, source + after, source + before]
    if source == FILE:
        slow = {"- collect\n": "- collect: 0.1\n", "0.001": "0.11"}
        texts = [text.replace(*each) for text in texts for each in slow.items()][1::2]
        texts = [text.replace("- collect\n", "- collect: 0.1\n") for text in texts]
    events = run_virtual(played(*texts))
    assert steps(whole("collect")) == 0
    assert len(whole("collect")) == (150 * 960 if source == TEXT else 60 * 48_000)
    assert not of(events, "stage.failed") + of(events, "link.dropped")
    assert len(of(events, "pipeline.reloaded")) == 2


@pytest.mark.parametrize("queue", ["", "    queue: {max_ms: 100}\n"], ids=["inline", "queued"])
def test_what_a_stage_that_goes_would_say_later_is_left_out_and_counted(queue: str) -> None:
    """`twice` has a last word after its last frame; but there the next frame stands by then."""
    events = run_virtual(
        played(TEXT + "  - twice: 1\n" + queue + "  - collect\n", TEXT + "  - collect\n")
    )
    assert steps(whole("collect")) == 0
    assert len(whole("collect")) == 150 * 960
    assert not of(events, "stage.failed")


def test_what_a_stage_that_goes_holds_back_is_given_out_first() -> None:
    """The gate holds 300 ms; a file waits, so none of it is lost."""
    held = "  - vad\n  - mute_gate: {mode: vad, ramp_ms: 0, preroll_ms: 300}\n  - collect: 0.1\n"
    events = run_virtual(played(FILE + held, FILE + "  - collect: 0.1\n"))
    assert len(whole("collect")) == 60 * 48_000
    assert not of(events, "stage.failed")


def test_a_sink_that_is_added_begins_at_once_and_one_that_goes_ends() -> None:
    other = "  - collect\n  - collect:\n    id: other\n    from: ramp\n"
    run_virtual(played(TEXT + "  - collect\n", TEXT + other, TEXT + "  - collect\n"))
    assert steps(whole("other")) == 0
    assert len(whole("other")) == 25 * 960
    assert diary.index("close other") < diary.index("close collect")


def test_another_source_goes_on_with_the_stream() -> None:
    """Its first frame stands where the clock does: what nobody heard is a hole in time."""
    frames: list[AudioFrame] = []

    class Timed(Collect):
        kind = "timed"

        async def consume(self, frame: AudioFrame) -> None:
            frames.append(frame)

    class Kinds:
        @hookimpl
        def rtpipe_stages(self) -> list[Any]:
            return [Timed]

    text = TEXT + "  - timed\n"
    run_virtual(played(text, text.replace("150", "50"), plugins=[Kinds()]))
    assert len(frames) == 26 + 50
    starts = [(frame.pts or 0) / 48_000 for frame in frames]
    assert starts == sorted(starts)
    assert starts[25] == pytest.approx(0.5)
    assert 0.52 <= starts[26] <= 0.55


def test_what_does_not_open_leaves_all_as_it_was() -> None:
    heard_of: list[Event] = []

    async def run() -> None:
        pipeline = loads(TEXT + "  - collect\n")
        pipeline.bus.subscribe("*", heard_of.append)
        async with pipeline:
            await asyncio.sleep(0.5)
            graph, before = pipeline.graph, len(diary)
            wrong = (
                TEXT + "  - plus: 1\n  - collect\n"
                "  - collect: {absent: true}\n    id: other\n    from: ramp\n"
            )
            with pytest.raises(RtpipeError, match="no sound card"):
                await pipeline.apply(loads(wrong).graph)
            assert pipeline.graph is graph
            assert [line for line in diary[before:] if line.startswith("open")] == []
            await asyncio.sleep(0.5)
            assert [stage.id for stage in pipeline.state()] == ["ramp", "collect"]

    heard.clear()
    run_virtual(run())
    assert steps(whole("collect")) == 0
    (refused,) = of(heard_of, "pipeline.reload_refused")
    assert (
        refused.line() == "not reloaded: collect (other): no sound card"
        or "other" in refused.line()
    )
    assert not of(heard_of, "pipeline.reloaded")
    assert all(event.source != "other" for event in of(heard_of, "stage.status_changed"))


def test_a_change_that_a_stage_refuses_undoes_those_before_it() -> None:
    class Proud(Plus):
        kind = "proud"
        live = frozenset({"at"})

        def change(self, options: Any) -> None:
            if options.at == 13:
                raise ValueError("not that")
            self.options = options

    class Kinds:
        @hookimpl
        def rtpipe_stages(self) -> list[Any]:
            return [Proud]

    def text(one: int, two: int) -> str:
        two_of_them = f"  - proud: {one}\n    id: one\n  - proud: {two}\n    id: two\n"
        return TEXT + two_of_them + "  - collect\n"

    async def run() -> None:
        async with loads(text(1, 1), Kinds()) as pipeline:
            with pytest.raises(StageError, match="ValueError: not that"):
                await pipeline.apply(loads(text(2, 13), Kinds()).graph)
            assert [pipeline[id].options.at for id in ("one", "two")] == [1, 1]
            await pipeline.apply(loads(text(2, 2), Kinds()).graph)
            assert [pipeline[id].options.at for id in ("one", "two")] == [2, 2]

    run_virtual(run())


class SoleOptions(Options):
    main = "name"
    name: str = "one"
    takes: bool = True


class Sole(Sink[SoleOptions]):
    """A sink with a device that nobody else may hold."""

    kind = "sole"
    holder: Any = None

    @classmethod
    def claims(cls, options: Any) -> str:
        return "device:the only one"

    async def open(self) -> None:
        assert Sole.holder is None, "two at once"
        if not self.options.takes:
            raise RtpipeError("it does not take that")
        Sole.holder = self

    async def close(self) -> None:
        if Sole.holder is self:
            Sole.holder = None

    async def consume(self, frame: AudioFrame) -> None:
        heard["sole"].append(audio.pcm(frame)[:, 0].copy())


class SoleKinds:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Sole]


def test_a_device_is_given_up_before_it_is_taken_and_nothing_is_lost() -> None:
    texts = [TEXT + "  - sole: one\n", TEXT + "  - sole: two\n"]
    events = run_virtual(played(*texts, plugins=[SoleKinds()]))
    assert steps(whole("sole")) == 0
    assert len(whole("sole")) == 150 * 960
    assert of(events, "pipeline.reloaded")


def test_a_device_that_is_not_taken_is_taken_back_by_who_had_it() -> None:
    wrong = TEXT + "  - sole: {name: two, takes: false}\n"
    with pytest.raises(RtpipeError, match="does not take"):
        run_virtual(played(TEXT + "  - sole: one\n", wrong, plugins=[SoleKinds()]))

    async def run() -> None:
        Sole.holder = None
        heard.clear()
        pipeline = loads(TEXT + "  - sole: one\n", SoleKinds())
        running = asyncio.create_task(pipeline.run())
        await asyncio.sleep(0.5)
        with pytest.raises(RtpipeError, match="does not take"):
            await pipeline.apply(loads(wrong, SoleKinds()).graph)
        await running

    run_virtual(run())
    assert steps(whole("sole")) == 0
    assert len(whole("sole")) == 150 * 960


def test_the_second_of_two_reloads_is_refused_in_a_sentence() -> None:
    slow = TEXT + "  - collect\n  - collect: {opens_in_s: 0.4}\n    id: other\n    from: ramp\n"

    async def run() -> None:
        async with loads(TEXT + "  - collect\n") as pipeline:
            first = asyncio.create_task(pipeline.apply(loads(slow).graph))
            await asyncio.sleep(0.1)
            with pytest.raises(StageError, match="another reload is at work"):
                await pipeline.apply(loads(TEXT + "  - plus: 1\n  - collect\n").graph)
            await first
            assert [stage.id for stage in pipeline.state()] == ["ramp", "collect", "other"]

    run_virtual(run())


def test_a_stop_in_the_middle_of_a_reload_ends_both() -> None:
    slow = TEXT + "  - collect\n  - collect: {opens_in_s: 5}\n    id: other\n    from: ramp\n"
    diary.clear()

    async def run() -> None:
        async with loads(TEXT + "  - collect\n") as pipeline:
            applying = asyncio.create_task(pipeline.apply(loads(slow).graph))
            await asyncio.sleep(0.1)
        with pytest.raises((RtpipeError, asyncio.CancelledError)):
            await applying
        with pytest.raises(StageError, match="does not run"):
            await pipeline.apply(loads(slow).graph)

    run_virtual(run())


def test_who_listens_to_a_stage_listens_to_who_takes_its_place() -> None:
    async def run() -> None:
        frames: list[AudioFrame] = []
        async with loads(TEXT + "  - collect\n") as pipeline:
            end = pipeline.tap_output("collect", frames.append)
            await pipeline.apply(loads(TEXT + "  - collect: 0.001\n").graph)
            before = len(frames)
            await asyncio.sleep(0.5)
            assert len(frames) >= before + 24
            end()
            count = len(frames)
            await asyncio.sleep(0.2)
            assert len(frames) == count

    run_virtual(run())


def test_a_stage_listens_to_a_sink_that_comes_with_it() -> None:
    """`weave` taps `collect`; both are new."""
    two = TEXT + "  - ramp: {live: true, frames: 150}\n    id: two\n"
    first = two + "  - narrow:\n    from: two\n  - narrow:\n    id: more\n    from: ramp\n"
    later = two + "  - weave:\n    from: [ramp, two]\n  - collect\n"
    events = run_virtual(played(first, later))
    assert "tapped 960" in diary
    assert not of(events, "stage.failed")
    assert len(whole("collect")) > 120 * 960


def test_routes_and_subscribers_follow() -> None:
    first = (
        TEXT
        + "  - collect\nevents:\n  - ear\n  - match: pipeline.reloaded\n    do: collect.note(one)\n"
    )
    other = TEXT + (
        "  - collect\nevents:\n  - match: pipeline.*\n    ear: {}\n  - ear: {delay_s: 0.001}\n"
        "    id: second\n  - match: pipeline.reloaded\n    do: collect.note(two)\n"
    )
    events = run_virtual(played(first, other, other))
    assert "one" not in diary
    assert diary.count("two") == 2
    assert diary.count("pipeline.reloaded") == 4  # by both ears
    assert not of(events, "stage.failed")
