"""What a frame costs: a six-stage pipeline beside the bare numpy work, fused and queued.

    .venv/bin/python benchmarks/per_frame.py [--rounds 5] [--seconds 60] [--json]

Every round measures all variants one after the other, and ratios are taken within a round: this
machine's absolute figures move by a factor of two between quiet and busy minutes, its ratios do
not. CPU time of the process, 20 ms of audio (960 samples, mono, 48 kHz) as the unit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time

import numpy as np
from rtpipe.load import from_text

from rtpipe import plan
from rtpipe.runtime import Pipeline

STAGES = ["gain: 3", "vad: 2", "mute_gate: open", "gain: -3"]
"""Between the source and the sink: six stages in all."""
UNIT = 960


def pipeline_text(count: int, seconds: float, *, fuse: bool = True) -> str:
    """Return a pipeline with the first `count` of STAGES."""
    tone = f"tone: {{waveform: speech_like, duration_s: {seconds}}}"
    stages = [tone, *STAGES[:count], "blackhole"]
    return "\n".join(["version: 1", f"fuse: {str(fuse).lower()}", "stages:", *(f"  - {s}" for s in stages)])


def run_text(text: str, frame_ms: int) -> float:
    """Run a pipeline on frames of `frame_ms`; return the CPU seconds from its start to its end."""
    graph = from_text(text).graph
    plan.BATCH_FRAME_MS = frame_ms  # a clock would give 20 ms frames, and pace the run

    async def main() -> float:
        pipeline = Pipeline(graph)
        started = time.process_time()
        await pipeline.run()
        return time.process_time() - started

    return asyncio.run(main())


def bare_numpy(seconds: float, frame_samples: int) -> float:
    """Do the same arithmetic on the same samples without rtpipe; return the CPU seconds."""
    import _webrtcvad as webrtc  # noqa: PLC0415 - the figure should not carry its import

    detector = webrtc.create()
    webrtc.init(detector)
    webrtc.set_mode(detector, 2)
    noise = (np.random.default_rng(1).standard_normal(frame_samples) * 3000).astype(np.int16)
    louder, softer = np.float32(10 ** (3 / 20)), np.float32(10 ** (-3 / 20))
    third = np.full(3, 1 / 3, np.float32)
    started = time.process_time()
    for _ in range(round(seconds * 48_000 / frame_samples)):
        frame = noise.copy()
        scaled = frame * louder
        np.clip(scaled, -32768, 32767, out=scaled)
        frame[:] = scaled
        at_16k = np.dot(frame.reshape(-1, 3), third).astype(np.int16)
        for start in range(0, len(at_16k), 320):
            webrtc.process(detector, 16_000, at_16k[start : start + 320].tobytes(), 320)
        np.multiply(frame, softer, out=frame, casting="unsafe")
    return time.process_time() - started


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio in each run")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    per_unit = 1e6 * UNIT / (asked.seconds * 48_000)
    rounds: list[dict[str, float]] = []
    for _ in range(asked.rounds):
        row = {}
        for length in (20, 200):
            for count in range(len(STAGES) + 1):
                text = pipeline_text(count, asked.seconds)
                row[f"{count} @{length}"] = run_text(text, length) * per_unit
            queued = pipeline_text(len(STAGES), asked.seconds, fuse=False)
            row[f"queued @{length}"] = run_text(queued, length) * per_unit
            row[f"numpy @{length}"] = bare_numpy(asked.seconds, length * 48) * per_unit
        rounds.append(row)

    report = {key: statistics.median(row[key] for row in rounds) for key in rounds[0]}

    def ratio(over: str, under: str) -> float:
        return statistics.median(row[over] / row[under] for row in rounds)

    whole = len(STAGES)
    for length in ("20", "200"):
        report[f"pipeline/numpy @{length}"] = ratio(f"{whole} @{length}", f"numpy @{length}")
        report[f"queued/fused @{length}"] = ratio(f"queued @{length}", f"{whole} @{length}")
    if asked.json:
        print(json.dumps(report, indent=2))
        return
    print(f"CPU µs per 20 ms of audio, median of {asked.rounds} rounds of {asked.seconds:g} s")
    print(f"{'':28}{'20 ms frames':>14}{'200 ms frames':>15}")
    names = ["tone, blackhole", *(f"+ {stage}" for stage in STAGES)]
    for count, name in enumerate(names):
        row_values = []
        for length in ("20", "200"):
            value = report[f"{count} @{length}"]
            row_values.append(value if count == 0 else value - report[f"{count - 1} @{length}"])
        print(f"{name:28}{row_values[0]:14.2f}{row_values[1]:15.2f}")
    for name, key in (
        ("six stages", f"{whole} @"),
        ("six stages, a queue each", "queued @"),
        ("bare numpy", "numpy @"),
        ("six stages / bare numpy", "pipeline/numpy @"),
        ("a queue each / fused", "queued/fused @"),
    ):
        print(f"{name:28}{report[key + '20']:14.2f}{report[key + '200']:15.2f}")


if __name__ == "__main__":
    main()
