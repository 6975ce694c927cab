"""What it costs a pipeline to be looked at: one page, then a crowd that comes and goes.

    .venv/bin/python -m benchmarks.control --minutes 5

Two runs of one file stand beside each other, so that whatever else the machine does meets both: one
is left alone, the other is watched. First one page follows it; then 50 readers and listeners come
and go, some hang up in mid-answer, some stop reading. Printed for each: the CPU it took, how late
its event loop was, what its links lost; and whether the two recordings are the same to the sample.

The exit code is 1 if a frame was lost or a sample differs. No figure makes it fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import wave
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable

CROWD = 50
_PAGE_S = 60.0
_OPENS_S = 30.0
_LINE = """
version: 1
name: {name}
stages:
  - tone: {{waveform: noise, level_dbfs: -20, realtime: true}}
  - gain: -3
  - vad
  - level
  - recorder: {{path: "{folder}/{name}.wav"}}
"""
_LEVELS = "/api/events?levels=10&state=1"
_PATHS = (
    _LEVELS,
    "/api/events?match=*",
    "/api/stages/gain/listen",
    "/api/stages/tone/listen",
    "/api/stages/gain/listen?format=mp3",
    "/api/pipeline",
    "/metrics",
)


@dataclass
class Figures:
    """What one run has done by some moment."""

    cpu_s: float
    late: dict[str, float]
    lost: float
    frames: float
    missed: float
    lost_sound_s: float

    def since(self, other: Figures) -> Figures:
        """Return what was done between two moments."""
        late = {bound: count - other.late.get(bound, 0) for bound, count in self.late.items()}
        return Figures(
            self.cpu_s - other.cpu_s,
            late,
            self.lost - other.lost,
            self.frames - other.frames,
            self.missed - other.missed,
            self.lost_sound_s - other.lost_sound_s,
        )


@dataclass
class Run:
    """A pipeline in a process of its own."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it."""
        file = self.folder / f"{self.name}.yaml"
        file.write_text(_LINE.format(name=self.name, folder=self.folder))
        command = [sys.executable, "-m", "rtpipe", "run", str(file), "--quiet"]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    async def call(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for something; returns where the answer comes."""
        socket = self.folder / "rtpipe" / f"{self.name}.sock"
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return reader, writer

    async def get(self, path: str) -> str:
        """Return what is answered."""
        reader, writer = await self.call(path)
        try:
            return (await reader.read()).partition(b"\r\n\r\n")[2].decode()
        finally:
            writer.close()

    async def opened(self) -> None:
        """Wait until it runs."""
        async with asyncio.timeout(_OPENS_S):
            while True:
                with suppress(OSError):
                    if (await self.get("/readyz")).startswith("running"):
                        return
                await asyncio.sleep(0.1)

    async def figures(self) -> Figures:
        """Return what it has done so far."""
        values: dict[str, float] = {}
        late: dict[str, float] = {}
        for family in text_string_to_metric_families(await self.get("/metrics")):
            for sample in family.samples:
                values[sample.name] = values.get(sample.name, 0) + sample.value
                if sample.name == "rtpipe_event_loop_late_seconds_bucket":
                    late[sample.labels["le"]] = sample.value
        return Figures(
            _cpu_s(self.process.pid),
            late,
            values["rtpipe_link_dropped_seconds_total"] + values["rtpipe_stage_lost_frames_total"],
            values["rtpipe_link_frames_out_total"],
            values["rtpipe_control_missed_events_total"],
            values["rtpipe_control_lost_audio_seconds_total"],
        )

    def stop(self) -> Any:
        """Stop it; returns its samples."""
        self.process.terminate()
        self.process.wait(20)
        with wave.open(str(self.folder / f"{self.name}.wav")) as file:
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    """Callers who come and go.

    Args:
        run: Whom they look at.
        seed: Of what each does.
    """

    def __init__(self, run: Run, seed: int) -> None:
        self._run = run
        self._random = random.Random(seed)
        self.visits = 0
        self.bytes = 0

    async def one(self, until: float) -> None:
        """Call again and again."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            path = self._random.choice(_PATHS)
            reads = self._random.random() > 0.15
            stays_s = self._random.uniform(0.1, 12.0)
            reader, writer = await self._run.call(path)
            self.visits += 1
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(min(stays_s, max(0.1, until - loop.time()))):
                    while reads and (data := await reader.read(1 << 16)):
                        self.bytes += len(data)
                    if not reads:
                        writer.transport.pause_reading()  # type: ignore[attr-defined]
                        await asyncio.sleep(stays_s)
            writer.transport.abort() if self._random.random() < 0.5 else writer.close()


async def page(run: Run, seconds: float) -> int:
    """Follow a run as a page does; returns how much came."""
    reader, writer = await run.call(_LEVELS)
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while data := await reader.read(1 << 16):
                size += len(data)
    writer.close()
    return size


def told(name: str, seconds: float, each: Iterable[tuple[str, Figures]]) -> None:
    """Print what the runs did meanwhile."""
    print(f"{name}, {seconds:.0f} s")
    for run, done in each:
        beats = done.late.get("+Inf", 0) or 1
        shares = ", ".join(
            f"> {float(bound) * 1000:g} ms: {1 - done.late[bound] / beats:.2%}"
            for bound in ("0.005", "0.01", "0.02")
        )
        print(
            f"  {run:8} {done.cpu_s / seconds:6.2%} of a core   loop late {shares}   "
            f"{done.frames:.0f} frames, lost {done.lost:g}   "
            f"events missed {done.missed:.0f}, sound not sent {done.lost_sound_s:.1f} s"
        )


async def measure(minutes: float, seed: int, folder: Path) -> bool:
    """Measure both parts; returns whether nothing was lost and the recordings are the same."""
    runs = Run("alone", folder), Run("watched", folder)
    watched = runs[1]
    for run in runs:
        run.start()
    try:
        for run in runs:
            await run.opened()
        page_s = min(_PAGE_S, minutes * 60)
        losses = 0.0
        for name, seconds in (("one page", page_s), (f"{CROWD} callers", minutes * 60)):
            before = [await run.figures() for run in runs]
            crowd = Crowd(watched, seed)
            if name == "one page":
                print(f"{await page(watched, seconds) / seconds / 1000:.1f} kB/s to the page")
            else:
                until = asyncio.get_running_loop().time() + seconds
                await asyncio.gather(*(crowd.one(until) for _ in range(CROWD)))
                print(f"{crowd.visits} visits, {crowd.bytes / 1e6:.0f} MB")
            after = [await run.figures() for run in runs]
            done = [late.since(early) for late, early in zip(after, before, strict=True)]
            told(name, seconds, zip(("alone", "watched"), done, strict=True))
            losses += done[1].lost
        state = json.loads(await watched.get("/api/pipeline"))
        statuses = {stage["id"]: stage["status"] for stage in state["stages"]}
    finally:
        samples = [run.stop() for run in runs]
    length = min(map(len, samples))
    same = bool((samples[0][:length] == samples[1][:length]).all())
    lengths = ", ".join(f"{len(each) / 48_000:.2f} s" for each in samples)
    verdict = "the same" if same else "NOT THE SAME"
    print(f"recordings: {lengths}; the {length} samples that both have are {verdict}")
    return same and length > 0 and losses == 0 and set(statuses.values()) == {"ok"}


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.control",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of the crowd (5)")
    parser.add_argument("--seed", type=int, default=1, help="of what the callers do (1)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        well = asyncio.run(measure(asked.minutes, asked.seed, Path(folder)))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
