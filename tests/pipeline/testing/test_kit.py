"""The public testing kit: virtual time, signals, one stage alone, and check_stage's judgement."""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rtpipe import (
    AudioFormat,
    AudioFrame,
    EnvironmentProblem,
    Event,
    Link,
    Options,
    Peer,
    Send,
    Sink,
    Source,
    Subscriber,
    Transform,
    action,
    audio,
)
from rtpipe.testing import (
    VirtualLoop,
    check_stage,
    cut,
    joined,
    noise,
    run_stage,
    run_virtual,
    speech_like,
    tone,
)

# --- virtual time


def test_hours_pass_at_once_and_exactly() -> None:
    async def five_hours() -> float:
        for _ in range(5 * 60):
            await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    begun = time.monotonic()
    assert run_virtual(five_hours()) == 18_000
    assert time.monotonic() - begun < 30


def test_many_short_sleeps_add_up_without_drift() -> None:
    async def ticks() -> float:
        for _ in range(3001):
            await asyncio.sleep(0.02)
        return asyncio.get_running_loop().time()

    assert run_virtual(ticks()) == 60.02


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def order() -> list[float]:
        fired: list[float] = []

        async def after(seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append(seconds)

        await asyncio.gather(*(after(s) for s in (3.0, 0.001, 86_400.0 * 3, 2.0)))
        return fired

    assert run_virtual(order()) == [0.001, 2.0, 3.0, 259_200.0]


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def main() -> tuple[str, float]:
        worked = await asyncio.wait_for(asyncio.to_thread(lambda: time.sleep(0.05) or "done"), 0.01)
        return worked, asyncio.get_running_loop().time()

    assert run_virtual(main()) == ("done", 0.0)


def test_a_deadlock_is_said_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtpipe.testing.virtual_time._PATIENCE_S", 0.01)

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtual(forever())


def test_a_call_from_another_thread_wakes_the_loop() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        told = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(told.set_result, 5))
        thread.start()
        result: int = await told
        thread.join()
        return result

    assert run_virtual(main()) == 5


# --- signals


@pytest.mark.parametrize("make", [tone, noise, speech_like])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2)])
def test_signals_have_honest_times_and_the_level_asked_for(
    make: Any, layout: str, channels: int
) -> None:
    frames = make(seconds=1.01, level_dbfs=-25.0, sample_rate=16_000, layout=layout, frame_ms=20)
    previous = None
    for frame in frames:
        audio.check_frame(frame, previous)
        previous = frame
    data = joined(frames)
    assert data.shape == (16_160, channels)
    assert [frame.samples for frame in frames[-2:]] == [320, 160]
    whole = audio.from_pcm(data, sample_rate=16_000, pts=0)
    assert audio.level_dbfs(whole) == pytest.approx(-25.0, abs=0.1)
    again = make(seconds=1.01, level_dbfs=-25.0, sample_rate=16_000, layout=layout, frame_ms=7)
    assert np.array_equal(joined(again), data)


def test_a_tone_has_its_frequency() -> None:
    spectrum = np.abs(np.fft.rfft(joined(tone(1000, seconds=1))[:, 0]))
    assert int(np.argmax(spectrum)) == 1000


def test_cut_takes_sizes_in_turn() -> None:
    frames = cut(np.arange(10, dtype=np.int16), (1, 3), sample_rate=8000, pts=100)
    assert [f.pts for f in frames] == [100, 101, 104, 105, 108, 109]
    assert [f.samples for f in frames] == [1, 3, 1, 3, 1, 1]
    assert joined(frames)[:, 0].tolist() == list(range(10))


# --- good stages of every kind


class WobbleOptions(Options):
    """Wobble the volume."""

    hz: float = 5.0
    """How often a second."""


class Wobble(Transform[WobbleOptions]):
    kind = "wobble"

    def process(self, frame: AudioFrame) -> AudioFrame:
        x = audio.samples(frame)
        assert frame.time is not None
        t = frame.time + np.arange(len(x))[:, None] / frame.sample_rate
        return audio.like(frame, x * (0.6 + 0.4 * np.sin(2 * np.pi * self.options.hz * t)))


@dataclass(frozen=True, kw_only=True)
class Counted(Event):
    """So many."""

    type: str = "count.counted"
    frames: int


class Count(Sink[Options]):
    kind = "count"
    accepts = AudioFormat(16_000, "mono", "s16")
    exact_ms = 20
    publishes = (Counted,)

    async def open(self) -> None:
        self.lengths: list[int] = []

    async def consume(self, frame: AudioFrame) -> None:
        self.lengths.append(frame.samples)

    async def drain(self) -> None:
        assert set(self.lengths) <= {320}
        self.ctx.publish(Counted(frames=len(self.lengths)))


class Beep(Source[Options]):
    kind = "beep"

    async def frames(self) -> Any:
        for n, frame in enumerate(tone(seconds=5, frame_ms=self.ctx.frame_ms)):
            await self.ctx.clock.sleep_until(n * self.ctx.frame_ms / 1000)
            yield frame


class Endless(Source[Options]):
    """As fast as it can, for ever: virtual time does not pass beside it."""

    kind = "endless"

    async def frames(self) -> Any:
        pts = 0
        while True:
            yield audio.silence(960, pts=pts)
            pts += 960


class Echo(Peer[Options]):
    kind = "echo"

    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await asyncio.sleep(0.02)
            await send(audio.copy(frame))


class Remember(Subscriber[Options]):
    kind = "remember"
    heard: list[str]

    async def open(self) -> None:
        self.heard = []

    async def on_event(self, event: Event) -> None:
        self.heard.append(event.type)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("stage_type", [Wobble, Count, Beep, Endless, Echo, Remember])
def test_good_stages_pass(stage_type: Any) -> None:
    check_stage(stage_type)


def test_a_stage_on_asyncios_own_loop() -> None:
    check_stage(Count, real_time=True)


def test_what_cannot_open_here_is_no_finding() -> None:
    class NeedsDevice(Count):
        kind = "needs_device"

        async def open(self) -> None:
            raise EnvironmentProblem("no device")

        async def close(self) -> None:
            return

    with pytest.raises(EnvironmentProblem, match="no device"):
        check_stage(NeedsDevice)


def test_run_stage_gives_frames_events_and_converts() -> None:
    run = run_virtual(run_stage(Wobble, {"hz": 1}, tone(seconds=1)))
    assert run.samples == 48_000
    run = run_virtual(run_stage(Count, {}, tone(seconds=1, layout="stereo")))
    assert [event.as_dict() for event in run.events] == [
        {"frames": 50, "type": "count.counted", "source": "count", "at": 0.0}
    ]


def test_run_stage_stops_an_endless_source_and_runs_on_virtual_time() -> None:
    run = run_virtual(run_stage(Beep, seconds=0.1))
    assert run.samples == 4800
    run = run_virtual(run_stage(Beep, frame_ms=200))
    assert (run.samples, run.frames[0].samples) == (240_000, 9600)


def test_run_stage_runs_a_peer_over_a_real_link() -> None:
    run = run_virtual(run_stage(Echo, {}, tone(seconds=1)))
    assert run.samples == 48_000
    assert run.statistics.frames_in == run.statistics.frames_out == 50


async def test_steps_between_frames_happen_in_their_order() -> None:
    class Listener(Transform[Options]):
        kind = "listener"

        async def open(self) -> None:
            self.said: list[str] = []
            self.ctx.on("word.*", lambda event: self.said.append(event.type))

        def process(self, frame: AudioFrame) -> AudioFrame:
            self.said.append(f"frame {frame.pts}")
            return frame

    kept: list[Listener] = []
    first, second = tone(seconds=0.04)
    await run_stage(
        Listener,
        {},
        [first, Event(type="word.one"), second, kept.append],
        events=[Event(type="word.zero")],
    )
    assert kept[0].said == ["word.zero", "frame 0", "word.one", "frame 960"]


# --- bad stages: each breaks one promise, and is told so


class Good(Transform[Options]):
    kind = "good"

    def process(self, frame: AudioFrame) -> Any:
        return frame


class UndocumentedOptions(Options):
    level: int = 1


class Undocumented(Good, Transform[UndocumentedOptions]):
    pass


class ReservedWord(Good):
    kind = "from"


class Unwritten(Transform[Options]):
    kind = "unwritten"


class AsyncProcess(Good):
    async def process(self, frame: AudioFrame) -> Any:
        return frame


class AsyncAction(Good):
    @action
    async def wave(self) -> None:
        """Wave."""


class WritesIntoSharedFrames(Good):
    def process(self, frame: AudioFrame) -> Any:
        audio.pcm(frame)[:] //= 2
        return frame


class WritesLater(Good):
    """Changes, of its own frames, the one before."""

    mutates = True
    last: AudioFrame | None = None

    def process(self, frame: AudioFrame) -> Any:
        if self.last is not None:
            audio.pcm(self.last)[:] = 0
        self.last = frame
        return frame


class Assumes960(Good):
    def process(self, frame: AudioFrame) -> Any:
        audio.samples(frame).reshape(960, -1)
        return frame


class CountsForItself(Good):
    pts = 0

    def process(self, frame: AudioFrame) -> Any:
        twin = audio.copy(frame)
        twin.pts = self.pts
        self.pts += frame.samples
        return twin


class Overlaps(Good):
    def process(self, frame: AudioFrame) -> Any:
        return [audio.copy(frame), audio.copy(frame)]


class NormalisesByFrame(Good):
    def process(self, frame: AudioFrame) -> Any:
        x = audio.samples(frame)
        return audio.like(frame, x / max(float(np.max(np.abs(x))), 0.01) * 0.5)


class RemembersAcrossReset(Good):
    def __init__(self, options: Options, ctx: Any) -> None:
        super().__init__(options, ctx)
        self.held: list[AudioFrame] = []

    def process(self, frame: AudioFrame) -> Any:
        self.held.append(frame)
        return self.held.pop(0) if len(self.held) > 3 else None

    def finish(self) -> Any:
        return self.held


class Blurts(Good):
    def process(self, frame: AudioFrame) -> Any:
        self.ctx.publish(Event(type="blurt.out"))
        return frame


class HoldsTheLoop(Good):
    def process(self, frame: AudioFrame) -> Any:
        time.sleep(0.6 * frame.samples / frame.sample_rate)
        return frame


class LeavesATask(Good):
    async def open(self) -> None:
        self.task = asyncio.create_task(asyncio.sleep(3600))


class LeavesAThread(Good):
    ended = threading.Event()

    async def open(self) -> None:
        threading.Thread(target=self.ended.wait, name="forgotten", daemon=True).start()


class ClosesOnlyOnce(Good):
    async def open(self) -> None:
        self.thing: list[int] | None = []

    async def close(self) -> None:
        assert self.thing is not None
        self.thing = None


class FailsBehindItsBack(Good):
    async def open(self) -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)


class GivesArrays(Good):
    def process(self, frame: AudioFrame) -> Any:
        return [audio.samples(frame)]


class NeverDrains(Sink[Options]):
    kind = "never_drains"

    async def consume(self, frame: AudioFrame) -> None:
        return

    async def drain(self) -> None:
        await asyncio.get_running_loop().create_future()


class SourceWithoutTime(Source[Options]):
    kind = "source_without_time"

    async def frames(self) -> Any:
        while True:
            yield AudioFrame(samples=960)


class PeerThatNeverEnds(Peer[Options]):
    kind = "peer_that_never_ends"

    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await send(frame)
        await asyncio.Event().wait()


class KeepsCancelled(Sink[Options]):
    kind = "keeps_cancelled"

    async def consume(self, frame: AudioFrame) -> None:
        self.task = asyncio.create_task(asyncio.sleep(3600))


class ChokesOnStrangers(Subscriber[Options]):
    kind = "chokes_on_strangers"

    async def on_event(self, event: Event) -> None:
        {"pipeline.started": 1}[event.type]


@pytest.mark.parametrize(
    ("stage_type", "said"),
    [
        (Undocumented, r"UndocumentedOptions\.level has no docstring"),
        (ReservedWord, "'from' is a word of the pipeline file"),
        (Unwritten, r"process\(\) is not written"),
        (AsyncProcess, r"process\(\) must be a plain `def`"),
        (AsyncAction, r"the action wave\(\) must be a plain `def`"),
        (WritesIntoSharedFrames, "writes into frames that others may hold"),
        (WritesLater, "changes a frame that it has already given out"),
        (Assumes960, r"raised ValueError.*in process"),
        (CountsForItself, "pts must follow"),
        (Overlaps, "overlaps"),
        (NormalisesByFrame, "how the stream is cut must not be heard"),
        (RemembersAcrossReset, r"reset\(\) does not make it forget"),
        (Blurts, "publishes 'blurt.out', which `publishes` does not list"),
        (HoldsTheLoop, "held the event loop"),
        (LeavesATask, r"the task sleep still runs after close\(\)"),
        (LeavesAThread, "the thread 'forgotten' still runs"),
        (ClosesOnlyOnce, r"raised A\w+Error.*in close"),
        (FailsBehindItsBack, "in the background: it raised ZeroDivisionError"),
        (GivesArrays, "not an AudioFrame"),
        (NeverDrains, "did not come to an end within 60 s"),
        (SourceWithoutTime, "needs"),
        (PeerThatNeverEnds, "did not come to an end within 60 s"),
        (KeepsCancelled, "the task sleep still runs"),
        (ChokesOnStrangers, "raised KeyError"),
    ],
)
def test_bad_stages_are_told_why(
    stage_type: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe.testing.conformance._THREAD_END_S", 0.01)
    monkeypatch.setattr(LeavesAThread, "ended", threading.Event())
    with pytest.raises(AssertionError, match=said):
        check_stage(stage_type, frames=speech_like(seconds=0.4))
    LeavesAThread.ended.set()


def test_all_findings_are_told_at_once() -> None:
    class TwoFaults(Blurts):
        async def open(self) -> None:
            self.task = asyncio.create_task(asyncio.sleep(3600))

    with pytest.raises(AssertionError, match=r"(?s)blurt.out.*task sleep|task sleep.*blurt.out"):
        check_stage(TwoFaults)


def test_tolerance_may_be_waived() -> None:
    check_stage(NormalisesByFrame, tolerance=None)
