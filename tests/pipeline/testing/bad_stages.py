"""Stages with one ordinary mistake each, and what `check_stage` has to say of it.

`MISTAKES` has them by what is wrong: the stage, what names the mistake, what names the remedy. A
stage is told this one mistake and no other.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from rtpipe import (
    AudioFormat,
    AudioFrame,
    Event,
    Finding,
    Importance,
    Link,
    Options,
    Peer,
    Send,
    Sink,
    Source,
    Specimen,
    StageError,
    Subscriber,
    Transform,
    action,
    audio,
)


class Mistake(NamedTuple):
    """What a stage does wrong, and what is said.

    Attributes:
        stage: The stage.
        named: A regular expression: how the mistake is called.
        remedy: One: what to do instead.
        also: One for what follows from it.
    """

    stage: Any
    named: str
    remedy: str
    also: str = "^$"


class Good(Transform[Options]):
    """Changes nothing: what each of the transforms below would be without its mistake."""

    kind = "good"

    def process(self, frame: AudioFrame) -> Any:
        return frame


class GoodSink(Sink[Options]):
    """Swallows everything."""

    kind = "good_sink"

    async def consume(self, frame: AudioFrame) -> None:
        return


class GoodSource(Source[Options]):
    """A second of silence."""

    kind = "good_source"

    async def frames(self) -> Any:
        for pts in range(0, 48_000, 960):
            yield audio.silence(960, pts=pts)


class GoodPeer(Peer[Options]):
    """Says everything again."""

    kind = "good_peer"

    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await send(audio.copy(frame))


class GoodSubscriber(Subscriber[Options]):
    """Hears everything."""

    kind = "good_subscriber"

    async def on_event(self, event: Event) -> None:
        return


GOOD = (Good, GoodSink, GoodSource, GoodPeer, GoodSubscriber)

# --- what it declares


class Nameless(Transform[Options]):
    kind = "nameless"

    def process(self, frame: AudioFrame) -> Any:
        return frame


class UndocumentedOptions(Options):
    level: int = 1


class Undocumented(Good, Transform[UndocumentedOptions]):
    pass


class WrongDefaultOptions(Options):
    hz: float = "five"  # type: ignore[assignment]
    """How often a second."""


class WrongDefault(Good, Transform[WrongDefaultOptions]):
    def process(self, frame: AudioFrame) -> Any:
        return frame if self.options.hz else None


class TwoFamilies(Good, Sink[Options]):
    """Both at once."""


class AcceptsText(Good):
    accepts = "s16"  # type: ignore[assignment]


class ModelOptions(BaseModel):
    level: int = 1


class OptionsOfAnotherModel(Good, Transform[ModelOptions]):  # type: ignore[type-var]
    pass


class LenientOptions(Options):
    model_config = ConfigDict(extra="ignore")


class Lenient(Good, Transform[LenientOptions]):
    pass


class ThawedOptions(Options):
    model_config = ConfigDict(frozen=False)


class Thawed(Good, Transform[ThawedOptions]):
    pass


class MainOptions(Options):
    main: ClassVar[str | None] = "gain"


class MainMisspelt(Good, Transform[MainOptions]):
    pass


class ReservedWord(Good):
    kind = "from"


class Spaced(Good):
    kind = "Loud Noise"


class Unwritten(Transform[Options]):
    """Does nothing yet."""

    kind = "unwritten"


class AsyncProcess(Good):
    async def process(self, frame: AudioFrame) -> Any:
        return frame


class PlainOpen(Good):
    def open(self) -> None:  # type: ignore[override]
        return


class FramesAtOnce(Source[Options]):
    """Gives a list."""

    kind = "frames_at_once"

    async def frames(self) -> Any:  # type: ignore[override]
        return [audio.silence(960, pts=0)]


class ForgottenComma(Good):
    publishes = Event  # type: ignore[assignment]


class PublishesAFunction(Good):
    publishes = (print,)  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Typeless(Event):
    """Has no name."""

    level: float = 0.0


class PublishesTypeless(Good):
    publishes = (Typeless,)


class LiveMisspelt(Good):
    live = frozenset({"gain"})


class AsyncAction(Good):
    @action
    async def wave(self) -> None:
        """Wave."""


class ActionToAwait(Good):
    @action
    def wave(self) -> Any:
        """Wave."""
        return asyncio.sleep(0)


class SilentAction(Good):
    @action
    def wave(self) -> None:
        return


# --- what it gives out


class GivesArrays(Good):
    def process(self, frame: AudioFrame) -> Any:
        return [audio.samples(frame)]


class SourceOfBytes(GoodSource):
    async def frames(self) -> Any:
        yield bytes(1920)


class PeerOfArrays(GoodPeer):
    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await send(audio.samples(frame))  # type: ignore[arg-type]


class ForgetsTheRate(Good):
    def process(self, frame: AudioFrame) -> Any:
        made = AudioFrame.from_ndarray(audio.pcm(frame).reshape(1, -1).copy(), "s16", "mono")
        made.pts = frame.pts
        return made

    accepts = AudioFormat(48_000, "mono", "s16")


class SourceWithoutTime(GoodSource):
    async def frames(self) -> Any:
        for _ in range(50):
            frame = audio.silence(960, pts=0)
            frame.pts = None
            yield frame


class SourceInMilliseconds(GoodSource):
    async def frames(self) -> Any:
        for number in range(50):
            yield audio.silence(960, pts=20 * number)


class CountsForItself(Good):
    def __init__(self, options: Options, ctx: Any) -> None:
        super().__init__(options, ctx)
        self.pts = 0

    def process(self, frame: AudioFrame) -> Any:
        twin = audio.copy(frame)
        twin.pts = self.pts
        self.pts += frame.samples
        return twin


class Overlaps(Good):
    def process(self, frame: AudioFrame) -> Any:
        return [audio.copy(frame), audio.copy(frame)]


class InventsAudio(Good):
    def finish(self) -> Any:
        return audio.silence(960, pts=48_000 * 100)


# --- how it treats frames


class WritesIntoSharedFrames(Good):
    def process(self, frame: AudioFrame) -> Any:
        audio.pcm(frame)[:] //= 2
        return frame

    accepts = AudioFormat(48_000, "mono", "s16")


class SinkThatNormalises(GoodSink):
    accepts = AudioFormat(48_000, "mono", "s16")

    async def consume(self, frame: AudioFrame) -> None:
        audio.pcm(frame)[:] = 0


class WritesLater(Good):
    """Changes, of its own frames, the one before."""

    mutates = True
    accepts = AudioFormat(48_000, "mono", "s16")
    last: AudioFrame | None = None

    def process(self, frame: AudioFrame) -> Any:
        if self.last is not None:
            audio.pcm(self.last)[:] = 0
        self.last = frame
        return frame


class Assumes960(Good):
    accepts = AudioFormat(48_000, "mono", "s16")

    def process(self, frame: AudioFrame) -> Any:
        if frame.samples % 960:
            raise ValueError("960 samples, please")
        return frame


class AssumesMono(Good):
    def process(self, frame: AudioFrame) -> Any:
        (mono,) = audio.samples(frame).T
        return audio.like(frame, mono)


class NormalisesByFrame(Good):
    def process(self, frame: AudioFrame) -> Any:
        x = audio.samples(frame)
        return audio.like(frame, x / max(float(np.max(np.abs(x))), 0.01) * 0.5)


class DropsShortFrames(Good):
    def process(self, frame: AudioFrame) -> Any:
        return frame if frame.samples > 500 else None


class NeedsAFrame(Good):
    last: AudioFrame | None = None

    def process(self, frame: AudioFrame) -> Any:
        self.last, given = frame, self.last
        return given

    def reset(self) -> None:
        self.last = None

    def finish(self) -> Any:
        assert self.last is not None, "no frame"
        return self.last


class KeepsFrames(Good):
    def __init__(self, options: Options, ctx: Any) -> None:
        super().__init__(options, ctx)
        self.history: list[AudioFrame] = []

    def process(self, frame: AudioFrame) -> Any:
        self.history.append(frame)
        return frame


class KeepsSamples(GoodSink):
    async def open(self) -> None:
        self.history: list[Any] = []

    async def consume(self, frame: AudioFrame) -> None:
        self.history.append(audio.samples(frame))


class RemembersAcrossReset(Good):
    def __init__(self, options: Options, ctx: Any) -> None:
        super().__init__(options, ctx)
        self.held: list[AudioFrame] = []

    def process(self, frame: AudioFrame) -> Any:
        self.held.append(frame)
        return self.held.pop(0) if len(self.held) > 3 else None

    def finish(self) -> Any:
        return self.held


class ResetRaises(Good):
    def reset(self) -> None:
        del self.held  # type: ignore[attr-defined]


class SharesAList(GoodSink):
    lengths: ClassVar[list[int]] = []

    async def consume(self, frame: AudioFrame) -> None:
        self.lengths.append(frame.samples)


# --- what it reads


class DeafOptions(Options):
    wobble_depth: float = 0.5
    """How deep."""


class Deaf(Good, Transform[DeafOptions]):
    """Leaves its option alone."""


class OtherOptions(Good, Transform[DeafOptions]):
    def __init__(self, options: DeafOptions, ctx: Any) -> None:
        super().__init__(DeafOptions(), ctx)


# --- time


class HoldsTheLoop(Good):
    def process(self, frame: AudioFrame) -> Any:
        time.sleep(0.6 * frame.samples / frame.sample_rate)
        return frame


class SleepingSink(GoodSink):
    async def consume(self, frame: AudioFrame) -> None:
        time.sleep(0.6 * frame.samples / frame.sample_rate)  # noqa: ASYNC251


class SlowToOpen(Good):
    async def open(self) -> None:
        time.sleep(0.12)  # noqa: ASYNC251


class SlowAction(Good):
    @action
    def measure(self) -> None:
        """Measure."""
        time.sleep(0.12)


class SlowGauge(Good):
    def gauge(self) -> str:
        time.sleep(0.12)
        return ""


class NumericGauge(Good):
    def gauge(self) -> Any:
        return 3.5


class CuriousWhyNot(Good):
    def why_not(self, action: str) -> Any:
        return action == "wave"

    @action
    def wave(self) -> None:
        """Wave."""


class ClockUntold(GoodSink):
    async def consume(self, frame: AudioFrame) -> None:
        await asyncio.sleep(frame.samples / frame.sample_rate)


class BusyPublisher(Good):
    """Tells everybody of each frame."""

    publishes = ("busy.frame",)

    def process(self, frame: AudioFrame) -> Any:
        self.ctx.publish(Event(type="busy.frame"))
        return frame


class SubscribesForEachFrame(Good):
    def process(self, frame: AudioFrame) -> Any:
        self.ctx.on("vad.*", lambda _: None)
        return frame


class TapsForEachFrame(Good):
    def process(self, frame: AudioFrame) -> Any:
        self.ctx.tap("speaker", lambda _: None)
        return frame


# --- events


class Blurts(Good):
    async def open(self) -> None:
        self.ctx.publish(Event(type="blurt.out"))


@dataclass(frozen=True, kw_only=True)
class Odd(Event):
    """Its payload is no JSON."""

    importance = Importance.DETAIL
    type: str = "odd.one"
    where: Path = Path()


class PublishesAPath(Good):
    publishes = (Odd,)

    async def open(self) -> None:
        self.ctx.publish(Odd())


@dataclass(frozen=True, kw_only=True)
class Mute(Event):
    """Its line cannot be made."""

    type: str = "mute.one"
    level: float | None = None

    def line(self) -> str:
        return f"{self.level:.1f}"


class TellsNothing(Good):
    publishes = (Mute,)

    async def open(self) -> None:
        self.ctx.publish(Mute())


class ChokesOnStrangers(GoodSubscriber):
    async def on_event(self, event: Event) -> None:
        {"pipeline.started": 1}[event.type]


# --- the end


class SwallowsCancel(GoodSink):
    async def consume(self, frame: AudioFrame) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.005)


class CleansUpForEver(GoodPeer):
    async def converse(self, inlet: Link, send: Send) -> None:
        try:
            async for frame in inlet:
                await send(audio.copy(frame))
        except asyncio.CancelledError:
            await asyncio.Event().wait()
            raise


class SourceThatGoesOn(GoodSource):
    async def frames(self) -> Any:
        pts = 0
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)
            yield audio.silence(960, pts=pts)
            pts += 960

    @classmethod
    def has_clock(cls, options: Options) -> bool:
        return True


class SourceThatCannotBeClosed(GoodSource):
    async def frames(self) -> Any:
        yield audio.silence(960, pts=0)
        with suppress(GeneratorExit):
            yield audio.silence(48_000, pts=960)
        yield audio.silence(960, pts=96_000)


class NeverDrains(GoodSink):
    async def drain(self) -> None:
        await asyncio.get_running_loop().create_future()


class PeerThatNeverEnds(GoodPeer):
    async def converse(self, inlet: Link, send: Send) -> None:
        async for frame in inlet:
            await send(frame)
        await asyncio.Event().wait()


class NeverCloses(Good):
    async def close(self) -> None:
        await asyncio.Event().wait()


# --- what is left


class LeavesATask(Good):
    async def open(self) -> None:
        self.task = asyncio.create_task(asyncio.sleep(3600))


class KeepsCancelled(GoodSink):
    async def consume(self, frame: AudioFrame) -> None:
        self.task = asyncio.create_task(asyncio.sleep(3600))


class WaitsInAThread(GoodSource):
    pressed = threading.Event()

    async def frames(self) -> Any:
        await asyncio.to_thread(type(self).pressed.wait)
        yield audio.silence(960, pts=0)


class LeavesAThread(Good):
    ended = threading.Event()

    async def open(self) -> None:
        threading.Thread(target=self.ended.wait, name="forgotten", daemon=True).start()


LEFT_OPEN: list[Any] = []


class LeavesAFile(Good):
    async def open(self) -> None:
        self.file = Path(__file__).open("rb")  # noqa: ASYNC230, SIM115
        LEFT_OPEN.append(self.file)


class LeavesAProcess(GoodSubscriber):
    async def open(self) -> None:
        self.child = subprocess.Popen(["sleep", "20"])  # noqa: ASYNC220

    async def close(self) -> None:
        return

    def __del__(self) -> None:
        if hasattr(self, "child"):
            self.child.kill()
            self.child.wait()


class ClosesWhatItNeverOpened(Good):
    async def open(self) -> None:
        self.thing = threading.Lock()

    async def close(self) -> None:
        self.thing.locked()


class ClosesOnlyOnce(Good):
    thing: list[int] | None = None

    async def open(self) -> None:
        self.thing = []

    async def close(self) -> None:
        if self.thing is not None:
            del self.thing


class OpensWithOSError(Good):
    async def open(self) -> None:
        raise FileNotFoundError("/dev/lamp")


class FailsBehindItsBack(Good):
    async def open(self) -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)


class LoopInAThread(Good):
    blocking = True

    def process(self, frame: AudioFrame) -> Any:
        asyncio.get_running_loop().call_soon(print)
        return frame


class ActionThatRaises(Good):
    @action
    def wave(self) -> None:
        """Wave."""
        raise ValueError("nobody there")


# --- how it examines itself


class ExaminesByImporting(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        import xml.dom.minidom

        import hypothesis.extra.array_api

        assert xml, hypothesis
        return ()


class ExaminationFails(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        raise KeyError("lamp")


class ExaminesSlowly(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        time.sleep(1.05)
        return ()


class ExaminesWithAStatus(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        yield Finding("broken", "the lamp is dark")  # type: ignore[arg-type]


class ExaminesInOtherWords(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        yield "there is no lamp"


class ExaminesAnotherOption(Good):
    @classmethod
    def examine(cls, options: Options) -> Any:
        yield Finding("missing", "there is no lamp", "lamp")


class ProbesInVain(Good):
    @classmethod
    async def probe(cls, options: Options) -> Any:  # type: ignore[override]
        return []


class SpecimenOptions(Options):
    port: int
    """Where."""


class RefusedSpecimen(Good, Transform[SpecimenOptions]):
    """Its specimen is none that can be had."""

    @classmethod
    def specimens(cls, folder: Path) -> Any:
        yield Specimen({"port": 1})

    def process(self, frame: AudioFrame) -> Any:
        raise StageError(f"nobody at {self.options.port}", help="switch it on")


MISTAKES: dict[str, Mistake] = {
    "no docstring": Mistake(Nameless, "class has no docstring", "say there what it does"),
    "an option without docstring": Mistake(
        Undocumented, r"UndocumentedOptions\.level has no docstring", "write one below it"
    ),
    "a default of another type": Mistake(
        WrongDefault, r"hz does not take its own default", "correct the type or the default"
    ),
    "a kind of two kinds": Mistake(TwoFamilies, "must extend exactly one", "source, transform, "),
    "accepts a text": Mistake(AcceptsText, "not 's16'", "an AudioFormat or None"),
    "options of another model": Mistake(
        OptionsOfAnotherModel, "options must extend", r"rtpipe\.Options"
    ),
    "options that take anything": Mistake(Lenient, "a misspelt one", "must refuse unknown options"),
    "options that change": Mistake(Thawed, "must be frozen", "stays as it is"),
    "a main option that is none": Mistake(MainMisspelt, "main is 'gain'", "none of its options"),
    "publishes a function": Mistake(
        PublishesAFunction, "holds <built-in", "event class nor a name"
    ),
    "an event without name": Mistake(PublishesTypeless, "Typeless gives `type`", "no default"),
    "a kind that is reserved": Mistake(
        ReservedWord, "'from' is a word of the pipeline file", "choose another"
    ),
    "a kind with a space": Mistake(Spaced, "not 'Loud Noise'", "a lower-case word"),
    "nothing written": Mistake(Unwritten, r"process\(\) is not written", r"process\(\)"),
    "async process": Mistake(AsyncProcess, r"process\(\) must be a plain", "`def`: nobody awaits"),
    "plain open": Mistake(PlainOpen, r"open\(\) must be", "`async def`"),
    "frames without yield": Mistake(FramesAtOnce, r"frames\(\) must `yield`", "without one"),
    "publishes without comma": Mistake(ForgottenComma, "must be a tuple", r"\(TooLoud,\)"),
    "live without option": Mistake(LiveMisspelt, "live names 'gain'", "none of its options"),
    "async action": Mistake(AsyncAction, r"the action wave\(\) must be", "a plain `def`"),
    "an action to await": Mistake(ActionToAwait, r"wave\(\) returns something to await", "begin a"),
    "undocumented action": Mistake(
        SilentAction, r"wave\(\) has no docstring", "say there what it does"
    ),
    "arrays for frames": Mistake(GivesArrays, "`process` gave .*no frame", "`audio.like`"),
    "bytes for frames": Mistake(SourceOfBytes, "`frames` gave .*no frame", "audio.from_bytes"),
    "arrays from a peer": Mistake(PeerOfArrays, "`converse` gave .*no frame", "audio.like"),
    "a frame without rate": Mistake(
        ForgetsTheRate, "`process` gave a frame without samples or rate", "`audio.like`"
    ),
    "a frame without time": Mistake(
        SourceWithoutTime, "needs pts", "`audio.from_pcm` keep the rules"
    ),
    "pts in milliseconds": Mistake(SourceInMilliseconds, "overlaps", "pts counts samples"),
    "time of its own": Mistake(CountsForItself, "pts must follow", "take `frame.pts`"),
    "overlapping frames": Mistake(
        Overlaps, "overlaps the frame before", "pts counts samples", "stream is cut"
    ),
    "audio out of nothing": Mistake(
        InventsAudio, "out of an empty stream|its frames lie at", "give nothing|pts must follow"
    ),
    "writes into a shared frame": Mistake(
        WritesIntoSharedFrames, "writes into frames that others", "`mutates = True`, or copy"
    ),
    "a sink that writes": Mistake(SinkThatNormalises, "writes into frames that others", "copy"),
    "writes into what it gave": Mistake(
        WritesLater,
        "changes a frame that it has already given out",
        "make a new one",
        "stream is cut",
    ),
    "one length only": Mistake(
        Assumes960, "raised ValueError.*in process", "a frame may have any length"
    ),
    "one channel only": Mistake(AssumesMono, "raised ValueError.*in process", "say in `accepts`"),
    "hears how the stream is cut": Mistake(
        NormalisesByFrame, "change what comes out", "how the stream is cut must not be heard"
    ),
    "a length of its own": Mistake(
        DropsShortFrames, "give \\d+ samples", "frames of 20 ms give|how the stream is cut"
    ),
    "finish without a frame": Mistake(
        NeedsAFrame, r"no frame.*in finish", "called even when no frame came"
    ),
    "keeps frames": Mistake(KeepsFrames, "keeps all that it is given", "bound what it holds"),
    "keeps samples": Mistake(KeepsSamples, "keeps all that it is given", "bound what it holds"),
    "does not forget": Mistake(
        RemembersAcrossReset, r"reset\(\) does not make it forget", "drop there what is held"
    ),
    "reset raises": Mistake(
        ResetRaises, "raised AttributeError.*in reset", "at any time, and twice"
    ),
    "a list for all": Mistake(
        SharesAList, "share `lengths`", r"make it in __init__\(\) or open\(\)"
    ),
    "an option that is ignored": Mistake(
        Deaf, "nothing reads its option `wobble_depth`", "use `self.options.wobble_depth`"
    ),
    "options of its own": Mistake(
        OtherOptions, "its constructor must call", r"super\(\).__init__\(options, ctx\)"
    ),
    "blocks in process": Mistake(HoldsTheLoop, "held the event loop", "`blocking = True`"),
    "blocks in consume": Mistake(SleepingSink, "held the event loop", "asyncio.to_thread"),
    "blocks in open": Mistake(SlowToOpen, r"open\(\) holds the event loop", "asyncio.to_thread"),
    "a slow action": Mistake(SlowAction, r"measure\(\) takes 0\.\d+ s", "begin a task"),
    "a slow gauge": Mistake(SlowGauge, r"gauge\(\) takes 0\.\d+ s", "keep the answer"),
    "a gauge of numbers": Mistake(NumericGauge, r"gauge\(\) returns 3\.5", "a few words"),
    "why_not of truths": Mistake(CuriousWhyNot, r"why_not\('wave'\) returns True", "a few words"),
    "a clock untold": Mistake(ClockUntold, "real-time speed", r"has_clock\(\) returns True"),
    "an event for each frame": Mistake(BusyPublisher, "'busy.frame' \\d+ times", "DETAIL"),
    "subscribes for each frame": Mistake(SubscribesForEachFrame, "subscribed \\d+ times", "open"),
    "taps for each frame": Mistake(TapsForEachFrame, "subscribed \\d+ times", "open"),
    "an event undeclared": Mistake(Blurts, "publishes 'blurt.out', which", "add its class there"),
    "an event that is no JSON": Mistake(PublishesAPath, "'odd.one' is not JSON", "numbers, texts"),
    "an event without line": Mistake(TellsNothing, "line of 'mute.one'", "whatever the fields are"),
    "a stranger's event": Mistake(
        ChokesOnStrangers, "raised KeyError.*in on_event", "events of any type may come"
    ),
    "swallows the cancel": Mistake(SwallowsCancel, "swallows CancelledError", "let it pass"),
    "cleans up for ever": Mistake(CleansUpForEver, "swallows CancelledError", "raise it again"),
    "a source that goes on": Mistake(SourceThatGoesOn, "swallows CancelledError", "let it pass"),
    "a source not to be closed": Mistake(
        SourceThatCannotBeClosed,
        "ignored GeneratorExit",
        "let GeneratorExit pass",
        "StopAsyncIteration",
    ),
    "never drains": Mistake(NeverDrains, "did not come to an end", r"drain\(\) must return"),
    "a peer without end": Mistake(
        PeerThatNeverEnds, "did not come to an end", "return when its inlet has ended"
    ),
    "never closes": Mistake(NeverCloses, "did not come to an end", r"close\(\) must end"),
    "leaves a task": Mistake(LeavesATask, "task sleep still runs after close", "cancel it there"),
    "leaves a task per frame": Mistake(KeepsCancelled, "task sleep still runs", "cancel it there"),
    "leaves a thread": Mistake(LeavesAThread, "'forgotten' still runs", "tell it to end there"),
    "waits in a thread": Mistake(
        WaitsInAThread, "thread has not come back", "must end when close", "virtual_0' still runs"
    ),
    "leaves a file": Mistake(LeavesAFile, r"the file .*bad_stages\.py is still there", "end it in"),
    "leaves a process": Mistake(LeavesAProcess, "the process 'sleep' is still", "end it in close"),
    "closes what is not there": Mistake(
        ClosesWhatItNeverOpened, "raised AttributeError.*in close", r"even when open\(\) failed"
    ),
    "open raises OSError": Mistake(
        OpensWithOSError, "raised FileNotFoundError", "raises EnvironmentProblem"
    ),
    "fails behind its back": Mistake(
        FailsBehindItsBack, "in the background: it raised ZeroDivisionError", "in the background"
    ),
    "asks a thread for the loop": Mistake(
        LoopInAThread, "no running event loop", "runs in a thread"
    ),
    "an action that raises": Mistake(
        ActionThatRaises, "raised ValueError: nobody there", "StageError"
    ),
    "examines by importing": Mistake(
        ExaminesByImporting, r"examine\(\) imports hypothesis", "find_spec"
    ),
    "an examination that fails": Mistake(
        ExaminationFails, r"examine\(\) raised", "KeyError: 'lamp'"
    ),
    "a slow examination": Mistake(ExaminesSlowly, "took longer than 1 s", r"for probe\(\)"),
    "a status of its own": Mistake(ExaminesWithAStatus, "status 'broken'", "none of .*'wrong'"),
    "examines in other words": Mistake(ExaminesInOtherWords, "'there is no lamp'", "no Finding"),
    "examines another option": Mistake(ExaminesAnotherOption, "'lamp', which there is not", "lamp"),
    "probes without yield": Mistake(ProbesInVain, r"probe\(\) must yield", "`async def` with"),
    "an error of its own": Mistake(
        RefusedSpecimen, "raised StageError: nobody at 1", "switch it on"
    ),
}
