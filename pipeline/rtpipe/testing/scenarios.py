"""What the conformance kit puts a stage through: one coroutine for each thing that happens."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe.audio import ANY, AudioFormat, AudioFrame, duration_ms, samples
from rtpipe.convert import Converter
from rtpipe.errors import RtpipeError
from rtpipe.events import Event
from rtpipe.stage import Options, Sink, Source, Stage, Subscriber, Transform
from rtpipe.testing.cancelling import ended_by_cancel
from rtpipe.testing.keeping import check_kept
from rtpipe.testing.leftovers import children, command, open_things
from rtpipe.testing.promises import (
    EARLY_S,
    Broken,
    check_clock,
    check_frames,
    check_held,
    check_looks,
    check_published,
    check_quick,
    check_subscriptions,
    check_times,
    content,
    starts_s,
)
from rtpipe.testing.reading import reading
from rtpipe.testing.signals import cut
from rtpipe.testing.single_stage import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from numpy.typing import NDArray

    from rtpipe.testing.single_stage import Step

_START_S = 10.0  # no stream begins at 0: a stage must not count for itself
LONG = "a long stream"
"""The last scenario, for a stage that has passed the others: what waits too long would be slow."""
_OPEN_S = 0.1
_MAY_GO_S = (0, 0, 0, 0, 0.01, 0.05, 0.2, 0.5)
"""What was closed needs a moment, and the other end of a connection does, too."""
_LONG_S = 50
_LONG_SIZES = (24_000,)
_CANONICAL_SIZES = (960,)
_SIZES = {
    "frames of 20 ms": _CANONICAL_SIZES,
    "frames of a second": (48_000,),
    "frames of odd lengths": (1, 7, 441, 959, 961, 1023, 4801),
}
_FORMATS = (
    AudioFormat(48_000, "stereo", "s16"),
    AudioFormat(44_100, "mono", "s16"),
    AudioFormat(8_000, "mono", "s16"),
    AudioFormat(48_000, "stereo", "fltp"),
)
_EVENTS = (
    Event(type="pipeline.started", source="test"),
    Event(type="somebody.elses", source="test", at=1.5),
)


@dataclass(frozen=True)
class Subject:
    """The stage on trial and what it is fed.

    Attributes:
        stage_type: Its class.
        options: Its options.
        voice: s16 mono 48 kHz samples.
        tolerance: See `check_stage`.
        read: Which options it has read by now.
        left: What it left open, by kind of thing, in how many scenarios.
    """

    stage_type: type[Stage[Any]]
    options: Options
    voice: NDArray[np.int16]
    tolerance: float | None
    read: set[str] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)

    def bench(self, frame_ms: int = 20) -> Bench:
        """Return a new stage on a bench; needs a running loop.

        Raises:
            Broken: Its constructor forgets whose options it was given.
        """
        options = reading(self.options, self.read)
        bench = Bench(self.stage_type, options, frame_ms=frame_ms)
        if getattr(bench.stage, "options", None) is not options:
            raise Broken("its constructor must call `super().__init__(options, ctx)`")
        return bench

    @asynccontextmanager
    async def opened(self, bench: Bench) -> AsyncIterator[Bench]:
        """Open a stage, close it, and look what it has left.

        Raises:
            Broken: Files, connections or processes, for the second time: libraries keep some.
        """
        before, running = open_things(), children()
        async with bench.opened():
            yield bench
        left: set[str] = set()
        for pause_s in _MAY_GO_S:
            await asyncio.sleep(pause_s)
            left = {words for key, words in open_things().items() if key not in before}
            left |= {f"the process {command(pid)!r}" for pid in children() - running}
            if not left:
                return
        for words in sorted(left):
            kind = words.partition("/")[0]
            self.left[kind] += 1
            if self.left[kind] > 1:
                raise Broken(f"{words} is still there after close(): end it in close()")

    def stream(
        self,
        sizes: Sequence[int] = _CANONICAL_SIZES,
        *,
        format: AudioFormat = ANY,
        start_s: float = _START_S,
        share: slice = slice(None),
    ) -> list[AudioFrame]:
        """Return the voice (or a `share` of it) in frames that the stage takes as they are."""
        frames = cut(self.voice[share], list(sizes), pts=round(start_s * 48_000))
        accepted = self.stage_type.accepts_for(self.options) or ANY
        for converter in (
            Converter(format),
            Converter(accepted, frame_ms=self.stage_type.exact_ms),
        ):
            frames = [made for frame in frames for made in converter.process(frame)]
            frames += converter.finish()
        return frames


def scenarios(subject: Subject) -> Iterator[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    """Yield each scenario that fits the stage's kind, with words for a finding."""
    yield "open and close", partial(_opened_and_closed, subject)
    if issubclass(subject.stage_type, Subscriber):
        yield "events", partial(_events, subject)
        if subject.stage_type.actions():
            yield "actions", partial(_acted_upon, subject)
        return
    if issubclass(subject.stage_type, Source):
        yield "frames of 20 ms", partial(_drawn, subject, 20)
        yield "frames of a second", partial(_drawn, subject, 1000)
    else:
        for label, sizes in _SIZES.items():
            yield label, partial(_streamed, subject, sizes)
        # 10 ms: 480 calls say as much as 48,000
        yield "frames of one sample", partial(_streamed, subject, (1,), share=slice(480))
        for format in _FORMATS:
            yield f"input of {format}", partial(_streamed, subject, format=format)
        yield "an empty stream", partial(_streamed, subject, share=slice(0))
        yield "a hole in the stream", partial(_holed, subject)
        yield "reset in mid-stream", partial(_reset, subject)
    if issubclass(subject.stage_type, Transform):
        if subject.tolerance is not None:
            yield "frames of another length", partial(_same_for_any_size, subject)
    else:
        yield "cancelled in mid-stream", partial(_cancelled, subject)
    if subject.stage_type.actions():
        yield "actions", partial(_acted_upon, subject)
    if issubclass(subject.stage_type, (Transform, Sink)) and not subject.stage_type.many_inlets:
        yield LONG, partial(_long, subject)


async def _opened_and_closed(subject: Subject) -> None:
    await subject.bench().stage.close()  # as after an open that failed in its first line
    held_s = []
    for _ in range(3):
        bench = subject.bench()
        async with subject.opened(bench):
            held_s.append(max(bench.opening_s, default=0.0))
        await bench.stage.close()
    if min(held_s) > _OPEN_S:
        raise Broken(
            f"open() holds the event loop for {min(held_s):.2f} s: await, or use asyncio.to_thread"
        )
    bench = subject.bench()
    opening = asyncio.create_task(bench.stage.open())
    await asyncio.sleep(0)
    await ended_by_cancel(opening)
    await bench.stage.close()


async def _events(subject: Subject) -> None:
    bench = subject.bench()
    async with subject.opened(bench):
        before = len(bench.context._subscriptions)  # noqa: SLF001 - nobody else shall see it
        await bench.play(_EVENTS * 10)
        bench.reset()
        check_subscriptions(bench, before)
        check_looks(bench)
    check_published(bench)
    check_held(bench, media_s=0.02 * 10 * len(_EVENTS))


async def _drawn(subject: Subject, frame_ms: int) -> None:
    bench = subject.bench(frame_ms)
    async with subject.opened(bench):
        began = bench.context.now()
        await bench.play([_as_step(bench.reset)], seconds=1.0)
        media_s = sum(duration_ms(frame) for frame in bench.run.frames) / 1000
        check_clock(bench, bench.context.now() - began, media_s)
        check_looks(bench)
    check_frames(bench.run.frames)
    check_published(bench, media_s)
    check_held(bench, media_s)


async def _streamed(
    subject: Subject,
    sizes: Sequence[int] = _CANONICAL_SIZES,
    *,
    format: AudioFormat = ANY,
    share: slice = slice(None),
) -> None:
    await _played(subject, subject.stream(sizes, format=format, share=share))


async def _holed(subject: Subject) -> None:
    half = len(subject.voice) // 2
    before = subject.stream(share=slice(half))
    after = subject.stream(share=slice(half, None), start_s=_START_S + 30)
    await _played(subject, [*before, *after])


async def _reset(subject: Subject) -> None:
    """After a reset nothing of the stream before it may come out."""
    half = len(subject.voice) // 2
    bench = subject.bench()
    resumes_s = _START_S + 30
    given_before: list[int] = []

    def reset(_: object) -> None:
        bench.reset()
        given_before.append(len(bench.run.frames))

    after = subject.stream(share=slice(half, None), start_s=resumes_s)
    await _played(subject, [*subject.stream(share=slice(half)), reset, *after], bench)
    if isinstance(bench.stage, Transform):
        for frame in bench.run.frames[given_before[0] :]:
            if starts_s(frame) < resumes_s - EARLY_S:
                raise Broken(
                    "reset() does not make it forget, audio from before it came out later: drop "
                    "there what is held"
                )


async def _same_for_any_size(subject: Subject) -> None:
    whole: NDArray[np.float32] | None = None
    for label, sizes in _SIZES.items():
        bench = subject.bench()
        async with subject.opened(bench):
            await bench.play(subject.stream(sizes))
        parts = [samples(frame) for frame in bench.run.frames] or [np.zeros((0, 1), np.float32)]
        made = np.concatenate(parts)
        if whole is None:
            whole = made
        elif len(made) != len(whole):
            raise Broken(f"{label} give {len(made)} samples, frames of 20 ms give {len(whole)}")
        else:
            difference = float(np.max(np.abs(made - whole), initial=0.0))
            if difference > (subject.tolerance or 0.0):
                raise Broken(
                    f"{label} change what comes out (by up to {difference:.6f} of full scale): "
                    "how the stream is cut must not be heard"
                )


async def _cancelled(subject: Subject) -> None:
    bench = subject.bench()
    halfway = asyncio.Event()
    steps: list[Step] = []
    if not issubclass(subject.stage_type, Source):
        steps = [*subject.stream(share=slice(4800)), lambda _: halfway.set(), *subject.stream()]
    async with subject.opened(bench):
        playing = asyncio.create_task(bench.play(steps, seconds=1.0))
        waiting = asyncio.create_task(halfway.wait())
        await asyncio.wait({playing, waiting}, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await ended_by_cancel(playing)


async def _long(subject: Subject) -> None:
    """Play for most of a minute, so that what is kept for ever is seen."""
    bench = subject.bench(1000)
    voice = np.tile(subject.voice, (-(-_LONG_S * 48_000 // max(len(subject.voice), 1)), 1))
    lasting = replace(subject, voice=voice[: _LONG_S * 48_000])
    async with subject.opened(bench):
        await check_kept(bench, lasting.stream(_LONG_SIZES))


async def _acted_upon(subject: Subject) -> None:
    steps: list[Step] = []
    for spec in subject.stage_type.actions().values():
        try:
            spec.signature.bind()
        except TypeError:
            continue  # needs arguments that only its author knows
        frames = subject.stream(share=slice(4800), start_s=len(steps) + 10)
        steps += [partial(_act, spec.method), *frames]
    if issubclass(subject.stage_type, (Source, Subscriber)):
        steps = [step for step in steps if not isinstance(step, AudioFrame)]
    bench = subject.bench()
    async with subject.opened(bench):
        await bench.play(steps, seconds=0.2)
    check_frames(bench.run.frames)
    check_published(bench)


def _act(name: str, stage: Stage[Any]) -> None:
    try:
        result = check_quick(f"the action {name}", getattr(stage, name))
    except RtpipeError:
        return  # "not now", said in the framework's words
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise Broken(
            f"the action {name}() returns something to await, which nobody does: begin a task"
        )


def _as_step(function: Callable[[], object]) -> Step:
    return lambda _: function()


async def _played(subject: Subject, steps: Sequence[Step], bench: Bench | None = None) -> None:
    """Play a stream and check what can be checked of any."""
    bench = bench or subject.bench()
    given = [step for step in steps if isinstance(step, AudioFrame)]
    before = [content(frame) for frame in given]
    given_out: list[bytes] = []

    def note(_: object) -> None:
        given_out.extend(content(frame) for frame in bench.run.frames[len(given_out) :])

    noted = [part for step in steps for part in (step, note)]
    media_s = sum(duration_ms(frame) for frame in given) / 1000
    async with subject.opened(bench):
        before_it, began = len(bench.context._subscriptions), bench.context.now()  # noqa: SLF001
        await bench.play(noted)
        note(None)
        check_clock(bench, bench.context.now() - began, media_s)
        check_subscriptions(bench, before_it)
        check_looks(bench)
    if any(content(frame) != was for frame, was in zip(given, before, strict=True)):
        raise Broken("it writes into frames that others may hold: say `mutates = True`, or copy")
    if any(content(frame) != was for frame, was in zip(bench.run.frames, given_out, strict=True)):
        raise Broken("it changes a frame that it has already given out: make a new one each time")
    check_frames(bench.run.frames)
    check_published(bench, media_s)
    check_held(bench, media_s)
    if isinstance(bench.stage, Transform):
        check_times(bench.run.frames, given)
