"""Voices, the order in which they were captured, and what a recorder makes of them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpipe import AudioFrame, Event, audio
from rtpipe.testing import Bench, cut, joined, noise, run_virtual
from rtpipe_plugins.sinks.recorder.stage import Recorder

RATE = 48_000
Arrival = tuple[int, AudioFrame]


def voice(seconds: float, seed: int = 0, *, level_dbfs: float = -20) -> NDArray[np.int16]:
    return joined(noise(seconds=seconds, seed=seed, level_dbfs=level_dbfs))[:, 0]


def heard(data: NDArray[np.int16], *, at_s: float | None, pts: int = 0) -> list[AudioFrame]:
    """Return live frames of `data`, its first sample captured at a pipeline second."""
    frames = cut(data, pts=pts)
    if at_s is not None:
        for frame in frames:
            audio.meta(frame).captured_at = at_s + ((frame.pts or 0) - pts) / RATE
    return frames


def in_turn(*streams: list[AudioFrame]) -> list[Arrival]:
    """Return the frames in the order in which they were captured."""
    arrivals = [(inlet, frame) for inlet, stream in enumerate(streams) for frame in stream]
    return sorted(arrivals, key=lambda a: (audio.meta(a[1]).captured_at or 0.0, a[1].pts or 0))


def recorded(
    path: Path,
    arrivals: Iterable[Arrival | Callable[[Bench], object]],
    *,
    inputs: tuple[str, ...] = ("visitor", "desk"),
    live: bool = True,
    **options: Any,
) -> Bench:
    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, **options}, live=live)
        bench.context.inputs = inputs  # type: ignore[attr-defined]
        async with bench.opened():
            for arrival in arrivals:
                if isinstance(arrival, tuple):
                    await bench.stage.consume_at(arrival[1], arrival[0])
                else:
                    arrival(bench)
            await bench.stage.drain()
        return bench

    return run_virtual(run())


def events_at(*events: tuple[float, str, str]) -> list[tuple[float, Event]]:
    return [(at, Event(type=type_, source=source, at=at)) for at, type_, source in events]


def with_events(
    arrivals: list[Arrival], events: list[tuple[float, Event]]
) -> Iterable[Arrival | Callable[[Bench], object]]:
    """Publish each event when its time has come."""
    due = sorted(events, key=lambda e: e[0])
    for inlet, frame in arrivals:
        captured_at = audio.meta(frame).captured_at
        assert captured_at is not None
        while due and due[0][0] <= captured_at:
            event = due.pop(0)[1]
            yield lambda bench, event=event: bench.bus.publish(event)
        yield inlet, frame
