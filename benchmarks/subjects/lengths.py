"""What audio costs in frames of several lengths: gain, vad and a gate, from memory to nowhere.

python -m benchmarks.subjects.lengths rtpipe|numpy --seconds 60 --lengths 20 200
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import rtpipe
from benchmarks.subjects.gated_speech import RATE, UNIT, Detector, Gate, softer
from rtpipe import Options, Source, audio, hookimpl
from rtpipe.testing import speech_like

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

PERIOD_S = 3
_VOICE_S = 1.8
_TEXT = """\
version: 1
stages:
  - loop: {{seconds: {seconds}, size: {size}}}
  - gain: -3
  - vad: 2
  - mute_gate: vad
  - blackhole
"""


@functools.cache
def speech() -> NDArray[np.int16]:
    """Return 3 s, again and again the same: a voice, then a pause, all with a little noise."""
    samples = np.random.default_rng(1).normal(0, 60, PERIOD_S * RATE)
    voice = np.concatenate([audio.pcm(frame)[:, 0] for frame in speech_like(seconds=_VOICE_S)])
    samples[: len(voice)] += voice
    return audio.to_s16(samples)


class _LoopOptions(Options):
    seconds: float
    size: int


class _Loop(Source[_LoopOptions]):
    """Speech from memory, in frames of a size."""

    kind = "loop"

    async def frames(self) -> AsyncIterator[rtpipe.AudioFrame]:
        size, sound = self.options.size, speech()
        whole = np.concatenate([sound, sound[:size]])
        for pts in range(0, round(self.options.seconds * RATE), size):
            begin = pts % len(sound)
            yield audio.from_pcm(whole[begin : begin + size], sample_rate=RATE, pts=pts)


class _Kinds:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [_Loop]


def in_rtpipe(size: int, seconds: float) -> float:
    """Run a pipeline; return its CPU time (s)."""

    async def run() -> float:
        pipeline = rtpipe.loads(_TEXT.format(seconds=seconds, size=size), plugins=[_Kinds()])
        began = time.process_time()
        await pipeline.run()
        return time.process_time() - began

    return asyncio.run(run())


def in_numpy(size: int, seconds: float) -> float:
    """Do the same in a loop; return its CPU time (s)."""
    detector, gate, scratch = Detector(), Gate(), np.empty(size, np.float32)
    began = time.process_time()
    sound = speech()
    whole = np.concatenate([sound, sound[:size]])
    for at in range(0, round(seconds * RATE), size):
        begin = at % len(sound)
        block = whole[begin : begin + size].copy()
        softer(block, scratch)
        for _ in gate.process(block, detector.hear(block)):
            pass
    return time.process_time() - began


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure lengths of frames.")
    parser.add_argument("kind", choices=("rtpipe", "numpy"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lengths", type=int, nargs="+", default=[20, 200])
    asked = parser.parse_args()
    run = in_rtpipe if asked.kind == "rtpipe" else in_numpy
    figures: dict[str, float] = {}
    for length in asked.lengths:
        size = length * RATE // 1000
        if asked.kind == "numpy" and size % UNIT:
            continue  # its detector judges whole units
        run(size, PERIOD_S)  # imports, and what else is done once
        spent = run(size, asked.seconds)
        figures[f"{length} ms µs"] = spent / (asked.seconds * RATE / UNIT) * 1e6
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
