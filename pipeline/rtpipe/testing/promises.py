"""Promises that hold for any run of any stage."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rtpipe.audio import check_frame
from rtpipe.bus import Pattern
from rtpipe.errors import FormatError
from rtpipe.events import Importance, event_type
from rtpipe.stage import Sink, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.testing.single_stage import Bench

EARLY_S = 0.2
"""By how much a transform may look back: filters ring."""

_LATE_S = 5.0  # a delay may hold back
_OFTEN, _OFTEN_A_SECOND = 20, 10
_QUICK_S = 0.1
_SUBSCRIPTIONS = 10
_CLOCK_S = 0.3
_STEP_S = 0.01  # no step is too long that half fills a frame of 20 ms


class Broken(Exception):  # noqa: N818 - a finding on its way up, caught by check_stage
    """A promise that was not kept."""


def content(frame: AudioFrame) -> bytes:
    """Return the bytes of a frame's samples."""
    return b"".join(bytes(plane) for plane in frame.planes)


def starts_s(frame: AudioFrame) -> float:
    """Return the media time of a frame's first sample (s)."""
    return float((frame.pts or 0) / frame.sample_rate)


def check_frames(frames: Sequence[AudioFrame]) -> None:
    """Raise `Broken` unless what was given out obeys the rules of links."""
    try:
        for frame in frames[:1]:
            check_frame(frame)
        for previous, frame in pairwise(frames):
            check_frame(frame, previous)
    except FormatError as error:
        raise Broken(
            f"a frame that it gives out breaks the rules of links: {error}; pts counts samples; "
            "`audio.like` and `audio.from_pcm` keep the rules"
        ) from error


def check_times(frames: Sequence[AudioFrame], given: Sequence[AudioFrame]) -> None:
    """Raise `Broken` unless what came out lies where the input lay."""
    if not frames:
        return
    if not given:
        raise Broken("it makes frames out of an empty stream: without input, give nothing")
    earliest, latest = starts_s(given[0]) - EARLY_S, starts_s(given[-1]) + _LATE_S
    for frame in frames:
        if not earliest <= starts_s(frame) <= latest:
            raise Broken(
                f"its frames lie at {starts_s(frame):.2f} s, the input from "
                f"{starts_s(given[0]):.2f} to {starts_s(given[-1]):.2f} s: pts must follow it, "
                "so take `frame.pts` and count nothing yourself"
            )


def check_published(bench: Bench, media_s: float = 0.0) -> None:
    """Raise `Broken` unless what was published was declared, is JSON-ready and has a line.

    Args:
        bench: Holds the stage.
        media_s: How much audio went through meanwhile (s): what comes often is a detail.
    """
    declared = Pattern(event_type(entry) for entry in bench.stage.publishes)
    for event in bench.run.events:
        if not declared.matches(event.type):
            raise Broken(
                f"it publishes {event.type!r}, which `publishes` does not list: add its class there"
            )
        try:
            json.dumps(event.as_dict())
        except (TypeError, ValueError) as error:
            raise Broken(
                f"the payload of {event.type!r} is not JSON ({error}): give it numbers, texts, "
                "lists and mappings"
            ) from error
        try:
            event.line().split()
        except Exception as error:
            raise Broken(
                f"the line of {event.type!r} cannot be read ({error!r}): line() returns a text, "
                "whatever the fields are"
            ) from error
    told = Counter(event.type for event in bench.run.events if event.importance > Importance.DETAIL)
    for type, count in told.items():
        if count > max(_OFTEN_A_SECOND * media_s, _OFTEN):
            raise Broken(
                f"it publishes {type!r} {count} times within {media_s:.1f} s of audio: what comes "
                "so often has `importance = Importance.DETAIL`"
            )


def check_held(bench: Bench, media_s: float) -> None:
    """Raise `Broken` unless the loop was free for others most of the time."""
    held = sorted(bench.run.held_s)[:-1]  # the longest may be an import
    if sum(held) > max(0.5 * media_s, 0.1, len(held) * _STEP_S):
        raise Broken(
            f"it held the event loop for {sum(held):.2f} s over {media_s:.2f} s of audio: "
            "await, use asyncio.to_thread, or say `blocking = True`"
        )


def check_quick(name: str, call: Callable[[], object]) -> object:
    """Return what `call` returns; raise `Broken` if it is slow twice, which no load explains."""
    begun = perf_counter()
    returned = call()
    if perf_counter() - begun > _QUICK_S:
        begun = perf_counter()
        call()
        if (held_s := perf_counter() - begun) > _QUICK_S:
            raise Broken(
                f"{name}() takes {held_s:.2f} s, and everything waits meanwhile: begin a task "
                "there, or ask earlier and keep the answer"
            )
    return returned


def check_subscriptions(bench: Bench, before: int) -> None:
    """Raise `Broken` if the stage subscribes over and over, where once would do."""
    more = len(bench.context._subscriptions) - before  # noqa: SLF001 - nobody else shall see it
    if more > _SUBSCRIPTIONS:
        raise Broken(
            f"it subscribed {more} times within one stream: `ctx.on` and `ctx.tap` last until "
            "close(), so call them in open()"
        )


def check_looks(bench: Bench) -> None:
    """Raise `Broken` unless what pages and command lines ask for is answered, at once."""
    stage = bench.stage
    said = check_quick("gauge", stage.gauge)
    if not isinstance(said, str):
        raise Broken(f"gauge() returns {said!r}: return a few words, or ''")
    for name in stage.actions():
        said = check_quick("why_not", partial(stage.why_not, name))
        if not isinstance(said, str):
            raise Broken(f"why_not({name!r}) returns {said!r}: return a few words, or ''")


def check_clock(bench: Bench, took_s: float, media_s: float) -> None:
    """Raise `Broken` if a source or a sink keeps real time and does not say so."""
    stage: Any = bench.stage
    if (
        not isinstance(stage, (Source, Sink))
        or not bench.context.clock.virtual
        or media_s < _CLOCK_S
    ):
        return
    if took_s > 0.8 * media_s and not stage.has_clock(stage.options):
        raise Broken(
            f"it took {took_s:.1f} s over {media_s:.1f} s of audio, real-time speed: say so, "
            "has_clock() returns True"
        )
