"""The batch section in rtpipe: a pipeline file, as a user would write it.

    python -m benchmarks.subjects.batch_rtpipe IN.wav OUT.wav [--profile]

Printed: the CPU time of `Pipeline.run`, without imports, and how far memory grew meanwhile.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import sys
import time

import rtpipe
from benchmarks.subjects.measuring import dearest
from benchmarks.subjects.processes import most_mb

_TEXT = """\
version: 1
stages:
  - file: {source}
  - gain: -3
  - vad: 2
  - mute_gate: vad
  - file_sink: {{path: {target}, overwrite: true}}
"""
_UNITS_IN_10_MIN = 30_000


async def run(source: str, target: str, profiler: cProfile.Profile | None) -> dict[str, float]:
    """Do the work; return what it took."""
    pipeline = rtpipe.loads(_TEXT.format(source=source, target=target))
    before = most_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    if profiler is not None:
        profiler.enable()
    await pipeline.run()
    if profiler is not None:
        profiler.disable()
    return {
        "CPU s": time.process_time() - cpu,
        "inner wall s": time.perf_counter() - wall,
        "grown MB": most_mb() - before,
    }


def main() -> None:
    """Do what the command line asks for."""
    source, target, *rest = sys.argv[1:]
    profiler = cProfile.Profile() if rest else None
    figures = asyncio.run(run(source, target, profiler))
    if profiler is not None:
        print(json.dumps({"profile": dearest(profiler, _UNITS_IN_10_MIN)}))
    else:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
