"""check_stage: good stages pass, and a bad one is told which promise it breaks."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from pipeline.testing.good_stages import Beep, Count, Echo, Endless, Remember, Wobble
from rtpipe import (
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
from rtpipe.testing import check_stage, speech_like


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


# --- bad stages: each breaks one promise


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
