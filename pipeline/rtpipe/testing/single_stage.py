"""One stage on its own, in the surroundings a pipeline gives it."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from rtpipe import audio
from rtpipe.audio import ANY, AudioFrame
from rtpipe.bus import Bus
from rtpipe.clock import Clock
from rtpipe.convert import Converter
from rtpipe.events import Event
from rtpipe.link import PATIENT, Link, LinkStatistics
from rtpipe.running.faults import check_made
from rtpipe.stage import (
    Options,
    Peer,
    Sink,
    Source,
    Stage,
    StageContext,
    Subscriber,
    Transform,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Generator

    from rtpipe.stage import Processed

T = TypeVar("T")

Step: TypeAlias = AudioFrame | Event | Callable[[Any], object]
"""What happens to a stage: a frame comes, an event passes on the bus, something is done to it."""


@dataclass(slots=True)
class StageRun:
    """What came of a stage's run.

    Attributes:
        frames: What it gave out, in order.
        events: What it published, in order.
        held_s: The real seconds for which it held the loop, one for each step it was allowed.
        statistics: Of a peer's inlet; the other kinds have none here.
    """

    frames: list[AudioFrame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    held_s: list[float] = field(default_factory=list)
    statistics: LinkStatistics = field(default_factory=LinkStatistics)

    @property
    def samples(self) -> int:
        """How many samples it gave out."""
        return sum(frame.samples for frame in self.frames)

    def of_type(self, event_type: str) -> list[Event]:
        """Return the published events of one type."""
        return [event for event in self.events if event.type == event_type]


class Bench:
    """Holds one stage with a real clock, bus and context, and moves frames through it.

    What `run_stage` and `check_stage` are built from; use those unless a test must do things to a
    stage in an order of its own. Needs a running loop.

    Args:
        stage_type: A stage of any of the five kinds.
        options: As in the file, or the options model itself.
        frame_ms: What `ctx.frame_ms` says (ms).
        live: What `ctx.live` says.

    Attributes:
        run: What came of it by now.
        bus: What its events go over.
        context: What it may ask, as `ctx`.
        stage: The stage itself.
        opening_s: For how long its opening held the loop, step by step (real s).

    Raises:
        pydantic.ValidationError: The options are wrong.
    """

    def __init__(
        self,
        stage_type: type[Stage[Any]],
        options: Mapping[str, Any] | Options,
        *,
        frame_ms: float = 20,
        live: bool = False,
    ) -> None:
        if not isinstance(options, Options):
            options = stage_type.options_type.model_validate(dict(options))
        self.run = StageRun()
        self.opening_s: list[float] = []
        self.bus = Bus()
        self._taps: dict[str, list[Callable[[AudioFrame], None]]] = {}
        inputs = ("first", "second") if stage_type.many_inlets else ("first",)
        self.context = StageContext(
            stage_type.kind, Clock(), self._published, self.bus.subscribe, inputs, self._tap
        )
        self.context.frame_ms = frame_ms  # type: ignore[assignment]
        self.context.live = live
        self.stage = stage_type(options, self.context)
        self._converter = Converter(
            stage_type.accepts_for(options) or ANY, frame_ms=stage_type.exact_ms
        )

    def _published(self, event: Event) -> None:
        self.run.events.append(event)
        self.bus.publish(event)

    def _tap(self, id: str, handler: Callable[[AudioFrame], None]) -> Callable[[], None]:
        handlers = self._taps.setdefault(id, [])
        handlers.append(handler)
        return lambda: handlers.remove(handler)

    def taken(self, id: str, frame: AudioFrame) -> None:
        """Let the stage hear, if it tapped stage `id`, that this one takes `frame`."""
        for handler in self._taps.get(id, ()):
            handler(frame)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Bench]:
        """Open the stage; close it at the end, also when opening failed."""
        try:
            await self._timed(self.stage.open())
            self.opening_s, self.run.held_s = self.run.held_s, []
            yield self
        finally:
            await self.stage.close()
            self.context.close()

    def reset(self) -> None:
        """Tell the stage that the stream jumps."""
        self._converter.reset()
        self.stage.reset()

    async def play(self, steps: Iterable[Step], *, seconds: float | None = None) -> None:
        """Run the stage over `steps` to the end of its stream.

        Args:
            steps: What happens, in order.
            seconds: Stop a source once it has given this much audio.
        """
        match self.stage:
            case Source():
                self._apart_from_frames(steps)
                await self._drawn(self.stage, seconds)
            case Peer():
                await self._conversed(self.stage, steps)
            case Sink():
                await self._consumed(self.stage, steps)
            case Transform():
                await self._processed(self.stage, steps)
            case Subscriber():
                for step in steps:
                    if isinstance(step, Event) and self.stage.hears:
                        await self._timed(self.stage.on_event(step))
                    else:
                        self._apart_from_frames([step])

    def _apart_from_frames(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, AudioFrame):
                raise TypeError(f"{self.context.id} has no inlet for a frame")
            self._happens(step)

    def _happens(self, step: Event | Callable[[Any], object]) -> None:
        if isinstance(step, Event):
            self.bus.publish(step)
        else:
            step(self.stage)

    async def _arriving(self, steps: Iterable[Step]) -> AsyncIterator[AudioFrame]:
        """Yield the frames the stage gets; between two of them other tasks may run."""
        for step in steps:
            if isinstance(step, AudioFrame):
                for frame in self._converter.process(step):
                    yield frame
                await asyncio.sleep(0)
            else:
                self._happens(step)
        for frame in self._converter.finish():
            yield frame

    async def _processed(self, stage: Transform[Any], steps: Iterable[Step]) -> None:
        async for frame in self._arriving(steps):
            given = audio.copy(frame) if stage.mutates else frame
            self.run.frames += await self._called(stage, partial(stage.process, given))
        self.run.frames += await self._called(stage, stage.finish)

    async def _called(
        self, stage: Transform[Any], call: Callable[[], Processed]
    ) -> list[AudioFrame]:
        if stage.blocking:
            return await asyncio.to_thread(lambda: _listed(call()))
        begun = perf_counter()
        made = _listed(call())
        self.run.held_s.append(perf_counter() - begun)
        return made

    async def _consumed(self, stage: Sink[Any], steps: Iterable[Step]) -> None:
        async for frame in self._arriving(steps):
            await self._timed(stage.consume_at(frame, 0))
        await self._timed(stage.drain())

    async def _conversed(self, stage: Peer[Any], steps: Iterable[Step]) -> None:
        inlet = Link(f"test -> {self.context.id}", PATIENT)

        async def feed() -> None:
            async for frame in self._arriving(steps):
                await inlet.put(frame)
            inlet.close()

        async def send(frame: AudioFrame) -> None:
            check_made(frame, "converse")
            self.run.frames.append(frame)

        feeding = asyncio.create_task(feed())
        feeding.add_done_callback(lambda _: inlet.close())
        try:
            await self._timed(stage.converse(inlet, send))
            if feeding.done():
                feeding.result()  # a step that raised is the test's own failure
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            self.run.statistics = inlet.snapshot()

    async def _drawn(self, stage: Source[Any], seconds: float | None) -> None:
        given_s = 0.0
        stream = stage.frames()
        try:
            while seconds is None or given_s < seconds:
                frame = await self._timed(anext(stream))
                check_made(frame, "frames")
                audio.check_frame(frame)
                self.run.frames.append(frame)
                given_s += frame.samples / frame.sample_rate
                await asyncio.sleep(0)
        except StopAsyncIteration:
            return
        finally:
            self.context.stopping = True
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    @types.coroutine
    def _timed(self, awaitable: Awaitable[T]) -> Generator[Any, None, T]:
        """Await, and note for how long each step between two suspensions held the loop."""
        steps = awaitable.__await__()
        send: Callable[[], Any] = partial(next, steps)
        while True:
            begun = perf_counter()
            try:
                waits_for = send()
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.run.held_s.append(perf_counter() - begun)
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on, cancellation above all
                send = partial(steps.throw, error)
            else:
                send = partial(next, steps)


def _listed(processed: Processed) -> list[AudioFrame]:
    if processed is None:
        return []
    made = [processed] if isinstance(processed, AudioFrame) else list(processed)
    for frame in made:
        check_made(frame, "process")
    return made


async def run_stage(
    stage_type: type[Stage[Any]],
    options: Mapping[str, Any] | Options = {},  # noqa: B006 - never written to
    frames: Iterable[Step] = (),
    *,
    events: Iterable[Event] = (),
    frame_ms: float = 20,
    live: bool = False,
    seconds: float | None = None,
) -> StageRun:
    """Open a stage, run a stream through it to its end, close it.

    The frames are converted to what the stage accepts, as a pipeline would; a transform that
    mutates gets copies.

    Args:
        stage_type: A stage of any of the five kinds.
        options: As in the file, or the options model itself.
        frames: The stream. Between frames there may be events, which pass on the bus there and
            then, and functions, which are called with the stage (`lambda gate: gate.close_gate()`).
        events: What a subscriber hears; for the other kinds, what passes before the first frame.
        frame_ms: What `ctx.frame_ms` says (ms).
        live: What `ctx.live` says.
        seconds: Stop a source once it has given this much audio; None for one that ends by itself.

    Raises:
        pydantic.ValidationError: The options are wrong.
        RtpipeError: Whatever the stage raises.
    """
    bench = Bench(stage_type, options, frame_ms=frame_ms, live=live)
    async with bench.opened():
        await bench.play([*events, *frames], seconds=seconds)
    return bench.run
