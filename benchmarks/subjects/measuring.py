"""How engines are measured, all alike: what a frame costs, how late it comes, how many fit.

An engine is a source, some stages that hand their frame on, and a sink that tells. Frames are made
outside what is timed. A module that has engines ends with `main(ENGINES)`:

    python -m benchmarks.subjects.rtpipe_frames fused cost --stages 1 6 12

The last line printed is JSON. Only what every interpreter here has is imported.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import statistics
import time
import tracemalloc
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

PERIOD_S = 0.02
"""Of the frames: 960 samples, s16 mono 48 kHz."""
_WARM_FRAMES = 100
_WARM_S = 1.0
_SETTLE_S = 0.3


class Engine(Protocol):
    """A pipeline of some stages."""

    paces_itself: bool
    """Whether frames come by themselves, 50 in a second, from `start` on."""
    feed: Callable[[Any], Awaitable[None]]
    """Gives a frame to the source; there from `start` on, unless it paces itself."""

    async def start(self) -> None:
        """Be ready for frames when this returns."""

    async def close(self) -> None:
        """End, and let go of everything."""

    def frame(self, index: int) -> Any:
        """Return the `index`-th frame."""


class Maker(Protocol):
    """Makes an engine of so many stages whose sink calls `told` with every frame."""

    def __call__(self, stages: int, told: Callable[[Any], None]) -> Engine:
        """Make one."""


def main(engines: Mapping[str, Maker]) -> None:
    """Measure what the command line asks for; print it as a line of JSON."""
    parser = argparse.ArgumentParser(description="Measure an engine.")
    parser.add_argument("engine", choices=engines)
    parser.add_argument(
        "mode", choices=("cost", "latency", "density", "memory", "objects", "profile")
    )
    parser.add_argument("--stages", type=int, nargs="+", default=[6])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pipelines", type=int, nargs="+", default=[50])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--one-timer", action="store_true", help="feeds all pipelines at once")
    asked = parser.parse_args()
    make = engines[asked.engine]
    figures: dict[str, float]
    match asked.mode:
        case "cost":
            figures = costs(make, asked.stages, asked.frames, asked.repeats)
        case "latency":
            figures = asyncio.run(latency(make, asked.stages[0], asked.seconds))
        case "density":
            figures = {}
            for count in asked.pipelines:
                running = density(
                    make, count, asked.stages[0], asked.seconds, one_timer=asked.one_timer
                )
                figures |= asyncio.run(running)
        case "memory":
            figures = asyncio.run(memory(make, asked.pipelines[0], asked.stages[0]))
        case "objects":
            print(json.dumps({"profile": asyncio.run(objects(make, asked.pipelines[0]))}))
            return
        case _:
            found = profile(make, asked.stages[0], asked.frames, asked.pipelines[0])
            print(json.dumps({"profile": found}))
            return
    print(json.dumps(figures))


def costs(make: Maker, stages: Sequence[int], frames: int, repeats: int) -> dict[str, float]:
    """Return the CPU time of a frame (µs) for each number of stages, and what one more costs."""
    measured: dict[int, list[float]] = {count: [] for count in stages}
    for _ in range(repeats):
        for count in stages:
            measured[count].append(asyncio.run(_lockstep(make, count, frames)))
    medians = {count: statistics.median(values) for count, values in measured.items()}
    figures = {f"{count} stages µs": value for count, value in medians.items()}
    if len(medians) > 1:
        slope = statistics.linear_regression(list(medians), list(medians.values())).slope
        figures["a stage µs"] = slope
    return figures


async def _lockstep(
    make: Maker, stages: int, frames: int, profiler: cProfile.Profile | None = None
) -> float:
    """Return the CPU time of a frame (µs): the next is given after the last one came out."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    engine = make(stages, lambda _: came.set_result(None))
    await engine.start()
    spent = 0.0
    for count in (_WARM_FRAMES, frames):
        made = [engine.frame(index) for index in range(count)]
        gc.collect()
        if profiler is not None and count == frames:
            profiler.enable()
        began = time.process_time()
        for frame in made:
            came = loop.create_future()
            await engine.feed(frame)
            await came
        spent = time.process_time() - began
        if profiler is not None:
            profiler.disable()
    await engine.close()
    return spent / frames * 1e6


async def latency(make: Maker, stages: int, seconds: float) -> dict[str, float]:
    """Return how long a frame takes from source to sink at 50 frames in a second (µs)."""
    loop = asyncio.get_running_loop()
    given: deque[float] = deque()
    taken: list[float] = []
    engine = make(stages, lambda _: taken.append(time.perf_counter() - given.popleft()))
    await engine.start()
    warm = round(_WARM_S / PERIOD_S)
    begin = loop.time() + 0.1
    for index in range(warm + round(seconds / PERIOD_S)):
        await asyncio.sleep(max(begin + index * PERIOD_S - loop.time(), 0))
        frame = engine.frame(index)
        given.append(time.perf_counter())
        await engine.feed(frame)
    await asyncio.sleep(0.2)
    await engine.close()
    return percentiles(taken[warm:])


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile (µs)."""
    ordered = sorted(seconds)
    return {
        f"{name} µs": ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * 1e6
        for name, share in (("p50", 50), ("p99", 99))
    }


async def density(
    make: Maker, pipelines: int, stages: int, seconds: float, *, one_timer: bool
) -> dict[str, float]:
    """Return the CPU time (ms) that a second of audio costs in each of some pipelines.

    By the frames that came out, so that a machine that cannot keep up does not look cheap.
    """
    loop = asyncio.get_running_loop()
    came = 0

    def told(_: object) -> None:
        nonlocal came
        came += 1

    engines = [make(stages, told) for _ in range(pipelines)]
    # At once: one by one, the last would wait for the frames of all the others.
    await asyncio.gather(*(engine.start() for engine in engines))
    begin = loop.time() + 0.1
    end = begin + _SETTLE_S + seconds
    timers = []
    if not engines[0].paces_itself:
        groups = [engines] if one_timer else [[engine] for engine in engines]
        timers = [
            asyncio.create_task(_feed(group, begin + place * PERIOD_S / len(groups), end))
            for place, group in enumerate(groups)
        ]
    await asyncio.sleep(begin + _SETTLE_S - loop.time())
    before, spent, clock = came, time.process_time(), time.perf_counter()
    await asyncio.sleep(end - loop.time())
    frames, spent, clock = came - before, time.process_time() - spent, time.perf_counter() - clock
    for timer in timers:
        await timer
    await asyncio.sleep(0.05)
    await asyncio.gather(*(engine.close() for engine in engines))
    wanted = clock / PERIOD_S * pipelines
    return {
        f"{pipelines} pipelines ms": spent / max(frames, 1) / PERIOD_S * 1e3,
        f"{pipelines} pipelines in time %": frames / wanted * 100,
    }


async def _feed(engines: Sequence[Engine], begin: float, end: float) -> None:
    """Give each of some engines a frame every 20 ms."""
    loop = asyncio.get_running_loop()
    index = 0
    while (due := begin + index * PERIOD_S) < end:
        await asyncio.sleep(max(due - loop.time(), 0))
        for engine in engines:
            await engine.feed(engine.frame(index))
        index += 1


async def memory(make: Maker, pipelines: int, stages: int) -> dict[str, float]:
    """Return what a pipeline adds to the process's private memory (kB)."""
    engines: list[Engine] = []
    before = 0
    for count in (1, pipelines):
        for _ in range(count):
            engine = make(stages, lambda _: None)
            await engine.start()
            engines.append(engine)
            if not engine.paces_itself:
                for index in range(5):
                    await engine.feed(engine.frame(index))
        await asyncio.sleep(0.2)
        gc.collect()
        if count == 1:
            before = private_kb()
    figures = {"kB": (private_kb() - before) / pipelines}
    await asyncio.gather(*(engine.close() for engine in engines))
    return figures


async def objects(make: Maker, pipelines: int, most: int = 14) -> list[dict[str, Any]]:
    """Return where the memory of a pipeline of six stages was asked for: the largest parts first.

    The share of each module (%), and how many objects it has in a pipeline.
    """
    engines = [make(6, lambda _: None)]
    await engines[0].start()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for _ in range(pipelines):
        engines.append(make(6, lambda _: None))
        await engines[-1].start()
    gc.collect()
    found = tracemalloc.take_snapshot().compare_to(before, "filename")
    tracemalloc.stop()
    await asyncio.gather(*(engine.close() for engine in engines))
    whole = sum(each.size_diff for each in found)
    return [
        {
            "function": "/".join(Path(each.traceback[0].filename).parts[-2:]),
            "share": round(each.size_diff / whole * 100, 1),
            "calls": round(each.count_diff / pipelines, 1),
        }
        for each in sorted(found, key=lambda each: -each.size_diff)[:most]
    ]


def private_kb(pid: int | str = "self") -> int:
    """Return the memory that a process shares with no other (kB)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def profile(make: Maker, stages: int, frames: int, pipelines: int) -> list[dict[str, Any]]:
    """Return where the CPU time of a frame goes: the dearest functions first.

    Of an engine that paces itself in some pipelines, else of one with one frame in flight.
    """
    profiler = cProfile.Profile()
    if make(stages, lambda _: None).paces_itself:
        frames = asyncio.run(_paced(make, pipelines, stages, profiler))
    else:
        asyncio.run(_lockstep(make, stages, frames, profiler))
    return dearest(profiler, frames)


async def _paced(make: Maker, pipelines: int, stages: int, profiler: cProfile.Profile) -> int:
    """Let pipelines run under a profiler for a while; return how many frames came."""
    came: list[object] = []
    engines = [make(stages, came.append) for _ in range(pipelines)]
    await asyncio.gather(*(engine.start() for engine in engines))
    await asyncio.sleep(_WARM_S)
    came.clear()
    profiler.enable()
    await asyncio.sleep(_WARM_S)
    profiler.disable()
    frames = len(came)
    await asyncio.gather(*(engine.close() for engine in engines))
    return frames


def dearest(profiler: cProfile.Profile, frames: int, most: int = 14) -> list[dict[str, Any]]:
    """Return the functions that took longest: their share (%), and calls for each frame."""
    timed: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
    timed = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    # What waits is not what costs.
    timed = {place: row for place, row in timed.items() if "select.epoll" not in place[2]}
    whole = sum(own for _, _, own, _, _ in timed.values())
    ordered = sorted(timed.items(), key=lambda item: -item[1][2])
    return [
        {
            "function": _named(*place),
            "share": round(own / whole * 100, 1),
            "calls": round(calls / frames, 2),
        }
        for place, (_, calls, own, _, _) in ordered[:most]
    ]


def _named(file: str, _line: int, name: str) -> str:
    """Return what a function is called, with its module: no path of this machine."""
    if file == "~":
        return name.strip("<>")
    return f"{Path(file).parent.name}/{Path(file).name} {name}"
