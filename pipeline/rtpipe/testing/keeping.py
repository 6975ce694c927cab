"""Whether a stage keeps all that it is given: a stream that is long, as a day's would be."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

from rtpipe.audio import duration_ms
from rtpipe.testing.promises import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.audio import AudioFrame
    from rtpipe.testing.single_stage import Bench

_MAY_HOLD_S = 25.0  # a delay, a window, a disk that is slow
_HELD_BY_US = 3  # the list, the loop that counts, the call
_MOSTLY = 0.8


async def check_kept(bench: Bench, given: list[AudioFrame]) -> None:
    """Play a long stream, and raise `Broken` if the stage still has most of it.

    Args:
        bench: Holds a transform or a sink that is open.
        given: Much more than a stage may hold, and nobody else has it. What comes out is dropped.
    """
    half = len(given) // 2
    traced = not tracemalloc.is_tracing()
    kept_s = 0.0

    def steps() -> Iterator[AudioFrame]:
        nonlocal kept_s
        begun = 0
        for number, frame in enumerate(given):
            if traced and number == half:
                tracemalloc.start()
                begun, _ = tracemalloc.get_traced_memory()
            yield frame
            bench.run.frames.clear()
        if traced:
            grown = tracemalloc.get_traced_memory()[0] - begun
            samples = sum(frame.samples * len(frame.layout.channels) for frame in given[half:])
            if grown > _MOSTLY * 2 * samples:
                kept_s = _seconds(given)
        held = [frame for frame in given if sys.getrefcount(frame) > _HELD_BY_US]
        kept_s = max(kept_s, _seconds(held))

    try:
        await bench.play(steps())
    finally:
        if traced and tracemalloc.is_tracing():
            tracemalloc.stop()
    if kept_s > _MAY_HOLD_S:
        raise Broken(
            f"it keeps all that it is given, {kept_s:.0f} s of audio by now: a pipeline runs for "
            "weeks, so bound what it holds"
        )


def _seconds(frames: list[AudioFrame]) -> float:
    return sum(duration_ms(frame) for frame in frames) / 1000
