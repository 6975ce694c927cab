"""Stages of a stranger, which misbehave as they are told, and write down what they did."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, ClassVar

from behaviour.seeded_faults.media import RATE, noise
from rtpipe import (
    AudioFrame,
    Event,
    Options,
    Sink,
    Source,
    StageContext,
    StageError,
    Subscriber,
    Transform,
    audio,
    hookimpl,
)
from rtpipe.events import RouteFailed

BLOCK_S = 0.03


class Ledger:
    """What the strangers did, by the stage's id."""

    def __init__(self) -> None:
        self.consumed: Counter[str] = Counter()
        self.swallowed: Counter[str] = Counter()
        self.added: Counter[str] = Counter()
        self.wronged: set[str] = set()

    @hookimpl
    def rtpipe_stages(self) -> list[type]:
        """Return the kinds, which write into this ledger."""
        kinds = (StrangeSource, StrangeTransform, StrangeThread, StrangeSink, StrangeEar)
        return [type(each.__name__, (each,), {"ledger": self}) for each in kinds]


class StrangeOptions(Options):
    """How to misbehave, and when."""

    fault: str = ""
    """What to do."""
    at: int = 3
    """At which call, from 0; and at each one after it where `again`."""
    again: bool = False
    """Whether it goes on misbehaving."""


class _Strange:
    ledger: ClassVar[Ledger]

    def __init__(self, options: Any, ctx: StageContext) -> None:
        super().__init__(options, ctx)  # type: ignore[call-arg]
        self.calls = 0
        if options.fault == "init":
            raise RuntimeError("in __init__")

    def due(self) -> str:
        """Return the fault that is due at this call."""
        number, options = self.calls, self.options  # type: ignore[attr-defined]
        self.calls += 1
        return (
            options.fault if number == options.at or (options.again and number > options.at) else ""
        )

    async def open(self) -> None:
        match self.options.fault:  # type: ignore[attr-defined]
            case "open":
                raise StageError("will not open")
            case "open_exit":
                raise SystemExit(7)

    async def close(self) -> None:
        match self.options.fault:  # type: ignore[attr-defined]
            case "close":
                raise RuntimeError("in close")
            case "close_hang":
                await asyncio.Event().wait()
            case "close_swallow":
                while True:
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        if self.calls > 1_000_000:
                            raise
                        self.calls += 1_000_000


_RAISED: dict[str, Callable[[], BaseException]] = {
    "raise": lambda: ValueError("out of order \ud800 \x1b[31m"),
    "cancelled": asyncio.CancelledError,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
}


def misbehave(stage: Any, fault: str) -> None:
    """Do what any kind of stage can do."""
    if fault in _RAISED:
        if fault != "cancelled":  # which may come when it is being cancelled
            stage.ledger.wronged.add(stage.ctx.id)
        error = _RAISED[fault]()
        raise error
    match fault:
        case "block":
            time.sleep(BLOCK_S)  # in the loop: that is the fault
        case "thread":
            thread = threading.Thread(target=stage.ctx.publish, args=(strange_event("thread"),))
            thread.start()
            thread.join()
        case "leak":
            asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="leaked")
        case "event":
            for kind in STRANGE_EVENTS:
                stage.ctx.publish(strange_event(kind))


STRANGE_EVENTS = ("surrogate", "control", "huge", "nan")


def strange_event(kind: str) -> Event:
    """Return an event that is hard to print, encode or deliver."""
    texts = {
        "surrogate": "\ud83d half \udc00",
        "control": "\x1b]0;x\x07\x00\r\n\x9b",
        "huge": "x" * 300_000,
    }
    return RouteFailed(source="stranger", action=kind, error=texts.get(kind, "plain"))


def wrong_frames(stage: Any, fault: str, frame: AudioFrame) -> Any:
    """Return what no `process` may return; the frame itself for other faults."""
    if fault in WRONG and fault != "other_rate":  # which a source may have
        stage.ledger.wronged.add(stage.ctx.id)
    match fault:
        case "none_str":
            return "frame"
        case "int":
            return 7
        case "list":
            return [frame, None]
        case "endless":
            return _endless(frame)
        case "zero":
            return AudioFrame(format="s16", layout="mono", samples=0)
        case "no_rate":
            made = audio.copy(frame)
            made.sample_rate = 0
            return made
        case "other_rate":
            made = audio.silence(160, pts=0)
            made.sample_rate = 8000
            return made
        case "float":
            return AudioFrame(format="fltp", layout="mono", samples=960)
    return frame


WRONG = (
    "none_str",
    "int",
    "list",
    "endless",
    "zero",
    "no_rate",
    "other_rate",
    "float",
    "coroutine",
)
ANYWHERE = ("raise", "cancelled", "exit", "interrupt", "block", "thread", "leak", "event")
LIFE = ("init", "open", "open_exit", "close", "close_hang", "close_swallow")


def _endless(frame: AudioFrame) -> Any:
    while True:
        yield audio.copy(frame)


async def _nothing() -> None:
    pass


class SourceOptions(StrangeOptions):
    """A source, too."""

    frames: int = 20
    """How many (20 ms each)."""
    live: bool = False
    """Paced."""


_JUMPS = {"far": 10**12, "hole": 5 * RATE}
"""By how much its time stamps jump (samples)."""


class StrangeSource(_Strange, Source[SourceOptions]):
    """Noise out of memory."""

    kind = "strange_source"

    @classmethod
    def has_clock(cls, options: SourceOptions) -> bool:
        return options.live

    def frames(self) -> Any:
        if self.options.fault == "frames_int" and not self.calls:
            self.calls += 1
            return 7
        return self._frames()

    async def _frames(self) -> AsyncIterator[Any]:
        data = noise(0.02)
        start = self.ctx.clock.next_tick(0.02)
        shift = 0
        for number in range(self.options.frames):
            if self.options.live:
                await self.ctx.clock.sleep_until(start + number * 0.02)
            frame = audio.from_pcm(data, sample_rate=RATE, pts=number * 960 + shift)
            if self.options.live:
                audio.meta(frame).captured_at = self.ctx.now()
            fault = self.due()
            shift += _JUMPS.get(fault, 0)
            frame.pts = 0 if fault == "back" else number * 960 + shift
            match fault:
                case "hang":
                    await asyncio.Event().wait()
                case "none":
                    yield None
                case "swallow_cancel":
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(3600)
            misbehave(self, fault)
            yield wrong_frames(self, fault, frame)


class StrangeTransform(_Strange, Transform[StrangeOptions]):
    """Passes frames on."""

    kind = "strange_transform"

    def process(self, frame: AudioFrame) -> Any:
        fault = self.due()
        if fault == "swallow":
            self.ledger.swallowed[self.ctx.id] += 1
            return None
        if fault == "double":
            self.ledger.added[self.ctx.id] += 1
            second = audio.copy(frame)
            return [frame, second]
        if fault == "coroutine":
            self.ledger.wronged.add(self.ctx.id)
            return _nothing()
        misbehave(self, fault)
        return wrong_frames(self, fault, frame)

    def finish(self) -> Any:
        if self.options.fault == "finish":
            raise RuntimeError("in finish")
        return "the end" if self.options.fault == "finish_str" else None

    def reset(self) -> None:
        if self.options.fault == "reset":
            raise SystemExit(9)


class StrangeThread(StrangeTransform):
    """Passes frames on, in a thread."""

    kind = "strange_thread"
    blocking = True


class StrangeSink(_Strange, Sink[StrangeOptions]):
    """Counts what it takes."""

    kind = "strange_sink"

    async def consume(self, frame: AudioFrame) -> None:
        fault = self.due()
        match fault:
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await self.ctx.clock.sleep_until(self.ctx.now() + 0.07)
            case _:
                misbehave(self, fault)
        self.ledger.consumed[self.ctx.id] += 1

    async def drain(self) -> None:
        match self.options.fault:
            case "drain":
                raise RuntimeError("in drain")
            case "drain_hang":
                await asyncio.Event().wait()


class StrangeEar(_Strange, Subscriber[StrangeOptions]):
    """Hears."""

    kind = "strange_ear"

    async def on_event(self, event: Event) -> None:
        fault = self.due()
        if fault == "hang":
            await asyncio.Event().wait()
        elif fault == "feed":
            self.ctx.publish(strange_event("plain"))
        else:
            misbehave(self, fault)
