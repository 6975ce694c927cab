"""Promises that hold for any run of any stage."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from rtpipe.audio import check_frame
from rtpipe.bus import Pattern
from rtpipe.errors import FormatError
from rtpipe.events import event_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.testing.single_stage import Bench

EARLY_S = 0.2
"""By how much a transform may look back: filters ring."""

_LATE_S = 5.0  # a delay may hold back
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
        raise Broken(f"a frame that it gives out breaks the rules of links: {error}") from error


def check_times(frames: Sequence[AudioFrame], given: Sequence[AudioFrame]) -> None:
    """Raise `Broken` unless what came out lies where the input lay."""
    if not frames:
        return
    if not given:
        raise Broken("it makes frames out of an empty stream")
    earliest, latest = starts_s(given[0]) - EARLY_S, starts_s(given[-1]) + _LATE_S
    for frame in frames:
        if not earliest <= starts_s(frame) <= latest:
            raise Broken(
                f"its frames lie at {starts_s(frame):.2f} s, the input from "
                f"{starts_s(given[0]):.2f} to {starts_s(given[-1]):.2f} s: pts must follow it"
            )


def check_published(bench: Bench) -> None:
    """Raise `Broken` unless what was published was declared, is JSON-ready and has a line."""
    declared = Pattern(event_type(entry) for entry in bench.stage.publishes)
    for event in bench.run.events:
        if not declared.matches(event.type):
            raise Broken(f"it publishes {event.type!r}, which `publishes` does not list")
        try:
            json.dumps(event.as_dict())
        except (TypeError, ValueError) as error:
            raise Broken(f"the payload of {event.type!r} is not JSON: {error}") from error
        try:
            event.line().split()
        except Exception as error:
            raise Broken(f"the line of {event.type!r} cannot be read: {error!r}") from error


def check_held(bench: Bench, media_s: float) -> None:
    """Raise `Broken` unless the loop was free for others most of the time."""
    held = sorted(bench.run.held_s)[:-1]  # the longest may be an import
    if sum(held) > max(0.5 * media_s, 0.1, len(held) * _STEP_S):
        raise Broken(
            f"it held the event loop for {sum(held):.2f} s over {media_s:.2f} s of audio: "
            "await, use asyncio.to_thread, or say `blocking = True`"
        )
