"""Fault isolation: what a plugin may do wrong, who is named for it, and what still stands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import pytest

from helpers.actors import heard, loads
from rtpipe import (
    Event,
    Options,
    Sink,
    Source,
    StageError,
    Subscriber,
    Transform,
    action,
    audio,
    hookimpl,
)
from rtpipe.audio import AudioFrame
from rtpipe.events import StageStalled
from rtpipe.running import supervisor
from rtpipe.running.bounded import CANCEL_S, run
from rtpipe.testing import run_virtual

HERE = "test_faults.py:"
FRAMES = 30


def raising(error: BaseException) -> Callable[[AudioFrame], Any]:
    def do(_: AudioFrame) -> Any:
        raise error

    return do


async def _coroutine(frame: AudioFrame) -> AudioFrame:
    return frame


def without_samples(frame: AudioFrame) -> AudioFrame:
    return _dated(AudioFrame(format="s16", layout="mono", samples=0), frame)


def slower(frame: AudioFrame) -> AudioFrame:
    return audio.from_pcm(np.zeros(160, np.int16), sample_rate=8000, pts=frame.pts)


def undated(frame: AudioFrame) -> AudioFrame:
    made = audio.like(frame, audio.samples(frame))
    made.pts = None
    return made


def endless(frame: AudioFrame) -> Any:
    while True:
        yield frame


def breaking(frame: AudioFrame) -> Any:
    yield frame
    raise LookupError("inside a generator")


def _dated(made: AudioFrame, frame: AudioFrame) -> AudioFrame:
    made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
    return made


WRONG: dict[str, Callable[[AudioFrame], Any]] = {
    "a string": lambda _: "hello",
    "bytes": lambda _: b"hello",
    "a number": lambda _: 5,
    "a mixed list": lambda frame: [frame, "x", None],
    "a coroutine": _coroutine,
    "no samples": without_samples,
    "no rate": lambda _: AudioFrame.from_ndarray(
        np.zeros((1, 960), np.float32), format="fltp", layout="mono"
    ),
    "another rate": slower,
    "no pts": undated,
    "an endless generator": endless,
    "a generator that raises": breaking,
    "CancelledError": raising(asyncio.CancelledError()),
    "SystemExit": raising(SystemExit(5)),
    "KeyboardInterrupt": raising(KeyboardInterrupt()),
    "GeneratorExit": raising(GeneratorExit()),
    "StopIteration": raising(StopIteration()),
    "MemoryError": raising(MemoryError()),
}


class Bad(Transform[Options]):
    kind = "bad"
    do: ClassVar[Callable[[AudioFrame], Any]]
    count = 0

    def process(self, frame: AudioFrame) -> Any:
        self.count += 1
        return type(self).do(frame) if self.count == 11 else frame


class Slow(Bad):
    kind = "bad_thread"
    blocking = True


class Plugin:
    def __init__(self, *kinds: type[Any]) -> None:
        self.kinds = kinds

    @hookimpl
    def rtpipe_stages(self) -> list[type[Any]]:
        return list(self.kinds)


def play(text: str, *kinds: type[Any]) -> tuple[Exception | None, list[Event]]:
    """Run `text`; returns what ended it and every event."""
    heard.clear()
    told: list[Event] = []

    async def main() -> Exception | None:
        pipeline = loads(f"version: 1\n{text}", Plugin(*kinds))
        pipeline.bus.subscribe("*", told.append)
        try:
            await pipeline.run()
        except StageError as error:
            return error
        return None

    return run_virtual(main()), told


def failures(told: list[Event]) -> list[str]:
    return [event.line() for event in told if event.type == "stage.failed"]


@pytest.mark.parametrize("kind", ["bad", "bad_thread"])
@pytest.mark.parametrize("what", WRONG)
def test_what_process_does_wrong_is_its_stages_fault(kind: str, what: str) -> None:
    Bad.do = staticmethod(WRONG[what])
    error, told = play(
        f"stages: [ramp: {{live: true, frames: {FRAMES}}}, {kind}, collect]", Bad, Slow
    )
    assert str(error).startswith(f"{kind}: ")
    (said,) = failures(told)
    assert HERE in said
    assert len(heard["collect"]) == 10  # what was recorded is whole
    assert "pipeline.ended" in [event.type for event in told]


@pytest.mark.parametrize("kind", ["bad", "bad_thread"])
@pytest.mark.parametrize("what", WRONG)
def test_its_policy_applies_and_one_frame_is_lost(kind: str, what: str) -> None:
    Bad.do = staticmethod(WRONG[what])
    text = f"""
stages:
  - ramp: {{live: true, frames: {FRAMES}}}
  - {kind}: {{}}
    on_error: drop
  - collect
"""
    error, told = play(text, Bad, Slow)
    assert error is None
    assert len(failures(told)) == 1
    assert len(heard["collect"]) == FRAMES - 1


def test_a_source_whose_failure_is_to_be_dropped_ends_and_is_named() -> None:
    """What has raised gives no more frames; without a word it would look like the stream's end."""

    class Brittle(Source[Options]):
        kind = "brittle"

        async def frames(self) -> AsyncIterator[AudioFrame]:
            yield audio.silence(960, pts=0)
            raise LookupError("in the middle")

    error, told = play("stages: [{brittle: {}, on_error: drop}, collect]", Brittle)
    assert error is None
    (said,) = failures(told)
    assert said.startswith("LookupError: in the middle at ")
    assert HERE in said
    assert len(heard["collect"]) == 1


def test_a_source_that_goes_on_though_it_was_cancelled_is_named() -> None:
    class Deaf(Source[Options]):
        kind = "deaf"

        async def frames(self) -> AsyncIterator[AudioFrame]:
            for number in range(FRAMES):
                yield audio.silence(960, pts=number * 960)
            while self.ctx.now() < 100:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(100)

    Bad.do = staticmethod(raising(ValueError("stop")))
    error, told = play("stages: [deaf, bad, collect]", Deaf, Bad)
    assert str(error) == "bad: ValueError: stop"
    assert any(
        "goes on though it was cancelled" in said and HERE in said for said in failures(told)
    )


def test_a_transform_that_feeds_a_full_link_is_named_too() -> None:
    text = """
stages:
  - ramp: {live: true, frames: 30}
  - bad: {}
    queue: {}
  - collect: {delay_s: 1}
    queue: {max_ms: 40, when_full: fail}
"""
    Bad.do = staticmethod(lambda frame: frame)
    error, told = play(text, Bad)
    assert str(error).startswith("bad: bad -> collect is full: ")
    (said,) = failures(told)
    assert said.startswith("bad -> collect is full: ")
    assert told[-1].payload()["reason"] == "bad failed"


def test_the_frame_it_was_given_is_not_looked_at_again() -> None:
    Bad.do = staticmethod(lambda frame: frame)
    assert play(f"stages: [ramp: {FRAMES}, bad, collect]", Bad)[0] is None


async def _swallow() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def _hang() -> None:
    await asyncio.Event().wait()


async def _exit() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("end", [_hang, _swallow, _exit])
def test_a_close_that_hangs_ignores_or_exits_is_told_and_bounded(
    end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "CLOSE_TIMEOUT_S", 0.1)

    class Sticky(Transform[Options]):
        kind = "sticky"

        def process(self, frame: AudioFrame) -> AudioFrame:
            return frame

        async def close(self) -> None:
            await end()

    async def main() -> float:
        pipeline = loads(f"version: 1\nstages: [ramp: {FRAMES}, sticky, collect]", Plugin(Sticky))
        started = asyncio.get_running_loop().time()
        with pytest.raises(StageError, match="sticky: "):
            await pipeline.run()
        return asyncio.get_running_loop().time() - started

    heard.clear()
    took = run(main())  # `run_virtual` would wait for what ignores its cancelling
    assert took < 0.1 + CANCEL_S + 2.0  # of a machine that may be busy
    assert len(heard["collect"]) > 0


def test_init_and_open_that_raise_are_named_once_with_their_line() -> None:
    class Stillborn(Transform[Options]):
        kind = "stillborn"

        def __init__(self, options: Options, ctx: Any) -> None:
            super().__init__(options, ctx)
            raise RuntimeError("boom")

    error, _ = play("stages: [ramp, stillborn, collect]", Stillborn)
    assert str(error) == "stillborn: RuntimeError: boom"
    assert isinstance(error, StageError)
    assert HERE in (error.help or "")


def test_an_async_action_is_refused_and_never_forgotten() -> None:
    class Lazy(Transform[Options]):
        kind = "lazy"

        def process(self, frame: AudioFrame) -> AudioFrame:
            return frame

        @action
        async def go(self) -> None:
            raise NotImplementedError

    text = """
stages: [ramp: {live: true}, lazy, collect]
events: [{match: pipeline.started, do: lazy.go}]
"""
    error, told = play(text, Lazy)
    assert error is None
    (failed,) = [event for event in told if event.type == "route.failed"]
    assert "async" in failed.line()


def test_an_event_published_from_a_thread_arrives_on_the_loop() -> None:
    threads: list[int] = []

    class Threaded(Sink[Options]):
        kind = "threaded"

        async def consume(self, frame: AudioFrame) -> None:
            await asyncio.to_thread(self.ctx.publish, Event(type="threaded.took"))

    async def main() -> None:
        pipeline = loads("version: 1\nstages: [ramp: 3, threaded]", Plugin(Threaded))
        pipeline.bus.subscribe("threaded.*", lambda _: threads.append(threading.get_ident()))
        await pipeline.run()

    run_virtual(main())
    assert threads == [threading.get_ident()] * 3


def test_a_subscriber_that_holds_the_loop_again_and_again_is_cut_off() -> None:
    heard_by: list[str] = []

    class Blocking(Subscriber[Options]):
        kind = "blocking"

        async def on_event(self, event: Event) -> None:
            heard_by.append(event.type)
            self.ctx.publish(StageStalled(held_ms=1500, where="here"))  # as the watchdog says

    text = "stages: [ramp: {live: true}, collect]\nevents: [blocking: {}]"
    error, told = play(text, Blocking)
    assert error is None
    assert len(heard_by) == 3
    assert "stage.stalled" not in heard_by
    assert any("gets no more events" in line for line in failures(told))


def test_what_is_left_running_is_told_and_holds_up_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> str:
        main.kept = [asyncio.create_task(_swallow()) for _ in range(3)]  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "done"

    assert run(main()) == "done"
    (record,) = [each for each in caplog.records if each.name == "rtpipe"]
    assert "left running: 3, at " in record.message
    assert HERE in record.message


@pytest.mark.slow
def test_a_thread_that_is_stuck_does_not_hold_the_loops_end() -> None:
    release = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, release.wait)
        await asyncio.sleep(0)

    try:
        run(main())
    finally:
        release.set()
