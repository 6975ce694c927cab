"""What a frame costs: a six-stage pipeline beside the bare numpy work, fused and queued.

    .venv/bin/python benchmarks/per_frame.py [--rounds 5] [--seconds 60] [--json]

Every round measures all variants one after the other, and ratios are taken within a round: a
machine's absolute figures move by a factor of two between quiet and busy minutes, its ratios do
not. CPU time of the process; the unit is 20 ms of audio (960 samples, mono, 48 kHz).
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import AudioFrame, Options, Source, audio, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

STAGES = ["gain: 3", "vad: 2", "mute_gate: open", "gain: -3"]
"""Between the source and the sink: six stages in all."""
UNIT = 960


class LoopOptions(Options):
    """What the source of this benchmark gives."""

    seconds: float
    frame_ms: int
    lockstep: bool


class Loop(Source[LoopOptions]):
    """The same noise over and over, each time in a frame of its own.

    In lockstep the next frame comes when every task has dealt with the one before, as in a live
    pipeline; else the tasks run ahead as far as their queues let them, as for a file.
    """

    kind = "loop"

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the noise."""
        size = 48 * self.options.frame_ms
        turns = len(STAGES) + 2 if self.options.lockstep else 0  # of the event loop, one a task
        for index in range(round(self.options.seconds * 48_000 / size)):
            for _ in range(turns):
                await asyncio.sleep(0)
            yield audio.from_pcm(noise(size), sample_rate=48_000, pts=index * size)


class Bench:
    """The plugin of this benchmark."""

    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        """Return the source."""
        return [Loop]


@functools.cache
def noise(size: int) -> NDArray[np.int16]:
    """Return `size` samples of noise at about -21 dBFS."""
    return (np.random.default_rng(1).standard_normal(size) * 3000).astype(np.int16)


def run_stages(
    count: int, frame_ms: int, seconds: float, *, fuse: bool = True, lockstep: bool = False
) -> float:
    """Run a pipeline with the first `count` of STAGES; return the CPU seconds it took."""
    loop = f"loop: {{seconds: {seconds}, frame_ms: {frame_ms}, lockstep: {str(lockstep).lower()}}}"
    lines = ["version: 1", f"fuse: {str(fuse).lower()}", "stages:"]
    lines += [f"  - {stage}" for stage in (loop, *STAGES[:count], "blackhole")]
    registry = Registry.discover()
    registry.register(Bench())
    graph = from_text("\n".join(lines), registry=registry).graph

    async def main() -> float:
        pipeline = Pipeline(graph)
        started = time.process_time()
        await pipeline.run()
        return time.process_time() - started

    return asyncio.run(main())


def bare_numpy(frame_ms: int, seconds: float) -> float:
    """Do the same arithmetic on the same samples without rtpipe; return the CPU seconds."""
    import _webrtcvad as webrtc  # noqa: PLC0415 - the figure should not carry its import

    detector = webrtc.create()
    webrtc.init(detector)
    webrtc.set_mode(detector, 2)
    size = 48 * frame_ms
    louder, softer = np.float32(10 ** (3 / 20)), np.float32(10 ** (-3 / 20))
    third = np.full(3, 1 / 3, np.float32)
    started = time.process_time()
    for _ in range(round(seconds * 48_000 / size)):
        frame = noise(size).copy()
        scaled = frame * louder
        np.clip(scaled, -32768, 32767, out=scaled)
        frame[:] = scaled
        at_16k = np.dot(frame.reshape(-1, 3), third).astype(np.int16)
        for start in range(0, len(at_16k), 320):
            webrtc.process(detector, 16_000, at_16k[start : start + 320].tobytes(), 320)
        np.multiply(frame, softer, out=frame, casting="unsafe")
    return time.process_time() - started


def measure(seconds: float) -> dict[str, float]:
    """Measure every variant once; return µs per unit by name."""
    whole = len(STAGES)
    row: dict[str, float] = {}
    for ms in (20, 200):
        for count in range(whole + 1):
            row[f"{count} @{ms}"] = run_stages(count, ms, seconds)
        row[f"queued @{ms}"] = run_stages(whole, ms, seconds, fuse=False)
        row[f"lockstep @{ms}"] = run_stages(whole, ms, seconds, lockstep=True)
        row[f"lockstep queued @{ms}"] = run_stages(whole, ms, seconds, fuse=False, lockstep=True)
        row[f"lockstep alone @{ms}"] = run_stages(0, ms, seconds, lockstep=True)
        row[f"numpy @{ms}"] = bare_numpy(ms, seconds)
    units = seconds * 48_000 / UNIT
    return {name: value / units * 1e6 for name, value in row.items()}


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description="What a frame costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio in each run")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rounds = [measure(asked.seconds) for _ in range(asked.rounds)]
    whole = len(STAGES)
    report = {key: statistics.median(row[key] for row in rounds) for key in rounds[0]}
    for ms in (20, 200):
        for name, over, under in (
            ("pipeline/numpy", f"{whole} @{ms}", f"numpy @{ms}"),
            ("queued/fused", f"queued @{ms}", f"{whole} @{ms}"),
            ("lockstep queued/fused", f"lockstep queued @{ms}", f"lockstep @{ms}"),
        ):
            report[f"{name} @{ms}"] = statistics.median(row[over] / row[under] for row in rounds)
    if asked.json:
        print(json.dumps(report, indent=2))
        return
    print(f"CPU µs per 20 ms of audio, median of {asked.rounds} rounds of {asked.seconds:g} s")
    print(f"{'':44}{'20 ms frames':>13}{'200 ms':>9}")
    for count, name in enumerate(("loop, blackhole", *(f"+ {stage}" for stage in STAGES))):
        costs = [
            report[f"{count} @{ms}"] - (report[f"{count - 1} @{ms}"] if count else 0)
            for ms in (20, 200)
        ]
        print(f"{name:44}{costs[0]:13.2f}{costs[1]:9.2f}")
    for name, key in (
        ("six stages", f"{whole}"),
        ("six stages, a queue each", "queued"),
        ("six stages, one frame in flight", "lockstep"),
        ("six stages, a queue each, one frame in flight", "lockstep queued"),
        ("(of it the waiting of the source)", "lockstep alone"),
        ("bare numpy", "numpy"),
        ("six stages / bare numpy", "pipeline/numpy"),
        ("a queue each / fused", "queued/fused"),
        ("a queue each / fused, one frame in flight", "lockstep queued/fused"),
    ):
        print(f"{name:44}{report[f'{key} @20']:13.2f}{report[f'{key} @200']:9.2f}")


if __name__ == "__main__":
    main()
