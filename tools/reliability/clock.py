"""Steps of the wall clock while it records: no sample more or less, and names in order.

The machine's own clock is not touched: `clock_step.c` is put between the run and the C library, so
that every part of it, FFmpeg too, sees the step.
"""

from __future__ import annotations

import json
import mmap
import shutil
import signal
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.reliability.deaths import judge_exact
from tools.reliability.figures import Asked, Figures, at_once, dice
from tools.reliability.process import Run
from tools.reliability.signal_content import RATE, read

STEP_S = 3600
_STEP = struct.Struct("=q")
_AFTER_S = 2.0
_PIPELINE = """version: 1
stages:
  - counting: {{note: note}}
  - recorder: {{path: "out/%Y%m%d-%H%M%S.{ending}", segment_s: 1}}
    from: counting
  - file_sink: "out/sink.{ending}"
    from: counting
events:
  - match: "*"
    jsonl: out/events.jsonl
"""


@dataclass(slots=True)
class _Outcome:
    late_ms: float = 0.0
    error_s: float = 0.0
    samples: int = 0
    broken: list[str] = field(default_factory=list)


def clock(asked: Asked) -> Figures:
    """Step the wall clock under runs, an hour forth or back; returns the figures."""
    figures = Figures(f"the wall clock stepped by ±{STEP_S} s, .{asked.ending}", asked.times)
    compiler = shutil.which("cc")
    if asked.ending not in {"wav", "flac"}:
        figures.skipped = f"it compares every sample, which .{asked.ending} does not keep"
    elif compiler is None:
        figures.skipped = "there is no C compiler for the clock that is stepped"
    if figures.skipped or compiler is None:
        return figures
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        library = Path(name) / "clock_step.so"
        source = Path(__file__).with_name("clock_step.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        outcomes = at_once(
            lambda n: _one(f"{asked.seed}-{n}", asked.ending, library, (-1) ** n), asked.times
        )
    figures.add("samples compared", sum(each.samples for each in outcomes))
    figures.spread("worst lateness (ms)", [each.late_ms for each in outcomes], 1)
    figures.spread("names: off by (s)", [each.error_s for each in outcomes], 0)
    for number, each in enumerate(outcomes):
        figures.broken += [f"run {asked.seed}-{number}: {what}" for what in each.broken]
    return figures


def _one(seed: str, ending: str, library: Path, sign: int) -> _Outcome:
    outcome = _Outcome()
    moment = dice(seed).uniform(0.1, 2)
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        (folder / "pipeline.yaml").write_text(_PIPELINE.format(ending=ending))
        step = folder / "step"
        step.write_bytes(_STEP.pack(0))
        preload = {"LD_PRELOAD": str(library), "CLOCK_STEP_FILE": str(step)}
        with (
            step.open("r+b") as file,
            mmap.mmap(file.fileno(), _STEP.size) as page,
            Run(folder, environment=preload) as run,
        ):
            run.wait_until(lambda: run.given > moment * RATE)
            _STEP.pack_into(page, 0, sign * STEP_S)
            run.wait_until(lambda: run.given > (moment + _AFTER_S) * RATE)
            run.end(signal.SIGTERM)
            _judge(outcome, folder / "out", ending, run, sign * STEP_S)
    return outcome


def _judge(outcome: _Outcome, out: Path, ending: str, run: Run, step_s: int) -> None:
    if run.process.returncode != 0:
        outcome.broken.append(f"exit code {run.process.returncode}: {run.said[-300:]}")
    outcome.late_ms = run.lateness[0] * 1000
    outcome.broken += judge_exact(out / f"sink.{ending}", 0, run.given)
    told = out / "events.jsonl"
    events = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    files = [
        (out / Path(event["path"]).name, event.get("start_s", 0.0))
        for event in events
        if event["type"] in {"recorder.started", "recorder.segment_started"}
    ]
    if not files:
        outcome.broken.append(f"nothing was recorded: {run.said[-300:]}")
        return
    begin = 0
    started = datetime.strptime(files[0][0].stem, "%Y%m%d-%H%M%S")  # noqa: DTZ007 - local
    for path, start_s in files:
        length = len(read(path))
        outcome.broken += judge_exact(path, begin, length)
        begin += length
        named = datetime.strptime(path.stem, "%Y%m%d-%H%M%S")  # noqa: DTZ007 - local, as above
        error_s = abs((named - started).total_seconds() - start_s)
        outcome.error_s = max(outcome.error_s, error_s)
    outcome.samples = 2 * begin
    if begin != run.given:
        outcome.broken.append(f"{begin} samples of {run.given}")
    if outcome.error_s > 1:
        outcome.broken.append(f"a name is off by {outcome.error_s:.0f} s")
    _judge_times(outcome, events, step_s)


def _judge_times(outcome: _Outcome, events: list[dict[str, Any]], step_s: int) -> None:
    """The pipeline's own seconds go on; the lines' `time` is the wall's, and shows the step."""
    seconds = [event["at"] for event in events]
    if seconds != sorted(seconds) or seconds[-1] > 60:
        outcome.broken.append(f"`at` does not rise as time does: {seconds}")
    walls = [datetime.fromisoformat(event["time"]).timestamp() for event in events]
    moved = (walls[-1] - walls[0]) - (seconds[-1] - seconds[0])
    if abs(moved - step_s) > 1:
        outcome.broken.append(f"the run has not seen the step: {moved:.1f} s")
