"""What the echo canceller takes out of an echo, second by second, and what it costs.

    .venv/bin/python benchmarks/echo.py [--delay-ms 120] [--echo-db -6] [--seconds 30]

The loudspeaker plays speech-like sound without a rest, the room is a short FIR. Echo reduction
(ERLE) is the level of the echo over the level of what is left of it. In the first 2.5 s the stage
is silent, since it does not know the room; from then on the figures are the engine's.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from rtpipe.testing import Bench, cut, joined, run_virtual, speech_like
from rtpipe_plugins.transforms.echo_cancel.stage import EchoCancel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

RATE = 48_000
FRAME = 960
SPANS_S = ((0, 1), (1, 2), (2, 3), (3, 5), (5, 10), (10, 20), (20, 30))


def room(played: NDArray[np.int16], delay_ms: float, echo_db: float) -> NDArray[np.float64]:
    """Return the echo of `played`: 30 ms of reflections after the delay."""
    count = round(0.03 * RATE)
    tail = np.random.default_rng(7).standard_normal(count)
    tail *= np.exp(-np.arange(count) / (0.008 * RATE))
    tail *= 10 ** (echo_db / 20) / np.sqrt(np.sum(tail**2))
    response = np.concatenate([np.zeros(round(delay_ms * RATE / 1000)), tail])
    size = len(played) + len(response)
    spectrum = np.fft.rfft(played, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(played)]


def cleaned(played: NDArray[np.int16], near: NDArray[np.int16]) -> tuple[NDArray[np.int16], float]:
    """Return what leaves the stage, and the CPU time of a 20 ms frame (µs)."""

    async def run() -> tuple[list[AudioFrame], float]:
        bench = Bench(EchoCancel, {"reference": "speaker"})
        async with bench.opened():
            made: list[AudioFrame] = []
            frames = list(zip(cut(played, FRAME), cut(near, FRAME), strict=True))
            began = time.process_time()
            for far, captured in frames:
                bench.taken("speaker", far)
                made += bench.stage.process(captured)  # type: ignore[attr-defined]
            return made, (time.process_time() - began) / len(frames) * 1e6

    frames, cost_us = run_virtual(run())
    return joined(frames)[:, 0], cost_us


def level_db(x: NDArray[np.floating]) -> float:
    """Return the power of samples (dB, of one step)."""
    return float(10 * np.log10(np.mean(np.square(x)) + 1e-3))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What the echo canceller does.")
    parser.add_argument("--delay-ms", type=float, default=120)
    parser.add_argument("--echo-db", type=float, default=-6)
    parser.add_argument("--seconds", type=int, default=30)
    asked = parser.parse_args()
    played = joined(speech_like(seconds=asked.seconds, level_dbfs=-20))[:, 0]
    echo = room(played, asked.delay_ms, asked.echo_db)
    hiss = np.random.default_rng(3).normal(0, 3, len(echo))
    near = np.clip(np.rint(echo + hiss), -32768, 32767).astype(np.int16)
    left, cost_us = cleaned(played, near)
    print(f"echo {asked.echo_db:g} dB, {asked.delay_ms:g} ms late")
    print(f"{'seconds':>10}{'echo dB':>10}{'left dB':>10}{'ERLE dB':>10}")
    for start, end in SPANS_S:
        if end > asked.seconds:
            break
        span = slice(start * RATE, end * RATE)
        before, after = level_db(echo[span]), level_db(left[span].astype(np.float64))
        print(f"{start:>5} - {end:<3}{before:>9.1f}{after:>10.1f}{before - after:>10.1f}")
    print(f"{cost_us:.0f} µs of CPU per 20 ms frame ({cost_us / 20_000:.1%} of a core)")


if __name__ == "__main__":
    main()
