"""A disk that fills up and is freed: the other stages go on, and the recording resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.reliability.deaths import judge_exact
from tools.reliability.figures import Asked, Figures, at_once, dice
from tools.reliability.process import Run
from tools.reliability.signal_content import RATE, read

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_RESUME_S = 10.0
"""From the moment there is room to the first audio in a new file."""
MOST_ALARM_S = 1.0
"""From the first sample that is lost to `recorder.failed`."""
_DISK_KB = 2000
_FREE_KB = 150
_PIPELINE = """version: 1
stages:
  - counting: {note: note}
  - recorder: {path: small/rec.wav, sidecar: false}
    from: counting
  - file_sink: out/other.wav
    from: counting
events:
  - match: "recorder.*"
    jsonl: out/events.jsonl
"""


@dataclass(slots=True)
class _Outcome:
    lost_s: float = 0.0
    resumed_s: float = 0.0
    alarm_s: float = 0.0
    late_ms: float = 0.0
    broken: list[str] = field(default_factory=list)


def disk(asked: Asked) -> Figures:
    """Fill and free a disk under a recording; returns the figures."""
    figures = Figures("a disk full and freed, .wav", asked.times)
    if asked.ending != "wav":
        figures.skipped = f"it compares every sample, which .{asked.ending} does not keep"
    elif os.geteuid() != 0:
        figures.skipped = "mounting a small disk needs root"
    if figures.skipped:
        return figures
    outcomes = at_once(lambda n: _one(f"{asked.seed}-{n}"), asked.times)
    figures.spread("lost (s)", [each.lost_s for each in outcomes])
    figures.spread("told after the first loss (s)", [each.alarm_s for each in outcomes])
    figures.spread("resumed after freed (s)", [each.resumed_s for each in outcomes])
    figures.spread("other branch: late (ms)", [each.late_ms for each in outcomes], 1)
    for number, each in enumerate(outcomes):
        figures.broken += [f"run {asked.seed}-{number}: {what}" for what in each.broken]
    return figures


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk with little room; gives the file that, removed, makes more."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_KB}k", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        ballast = folder / "ballast"
        ballast.write_bytes(bytes((_DISK_KB - _FREE_KB) * 1000))
        yield ballast
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def _one(seed: str) -> _Outcome:
    waits_s = dice(seed).uniform(0, 3)
    outcome = _Outcome()
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        (folder / "out").mkdir()
        (folder / "pipeline.yaml").write_text(_PIPELINE)
        events = folder / "out" / "events.jsonl"
        with _small_disk(folder / "small") as ballast, Run(folder) as run:
            if not run.wait_until(lambda: "recorder.failed" in _text(events)):
                outcome.broken.append(f"never told of: {run.said[-300:]}")
                return outcome
            time.sleep(waits_s)
            freed = time.monotonic()
            ballast.unlink()
            if not run.wait_until(lambda: "recorder.recovered" in _text(events)):
                outcome.broken.append(f"it did not resume: {run.said[-300:]}")
                return outcome
            outcome.resumed_s = time.monotonic() - freed
            time.sleep(1)
            run.end(signal.SIGTERM)
            _judge(outcome, folder, run, [json.loads(line) for line in _text(events).splitlines()])
    return outcome


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _judge(outcome: _Outcome, folder: Path, run: Run, events: list[dict[str, Any]]) -> None:
    outcome.late_ms = run.lateness[0] * 1000
    if run.process.returncode != 0:
        outcome.broken.append(f"exit code {run.process.returncode}: {run.said[-300:]}")
    if outcome.resumed_s > MOST_RESUME_S:
        outcome.broken.append(f"resumed after {outcome.resumed_s:.1f} s")
    outcome.broken += judge_exact(folder / "out" / "other.wav", 0, run.given)
    by_type = {event["type"]: event for event in events}
    first, second = read(folder / "small" / "rec.wav"), read(folder / "small" / "rec-2.wav")
    begin = round(by_type["recorder.segment_started"]["start_s"] * RATE)
    outcome.broken += judge_exact(folder / "small" / "rec.wav", 0, len(first))
    outcome.broken += judge_exact(folder / "small" / "rec-2.wav", begin, run.given - begin)
    lost = run.given - len(first) - len(second)
    outcome.lost_s = lost / RATE
    zero_s = by_type["recorder.started"]["zero_s"]
    outcome.alarm_s = by_type["recorder.failed"]["at"] - zero_s - len(first) / RATE
    if outcome.alarm_s > MOST_ALARM_S:
        outcome.broken.append(f"told {outcome.alarm_s:.2f} s after the first loss")
    for name in ("recorder.recovered", "recorder.stopped"):
        if abs(by_type[name]["lost_s"] - outcome.lost_s) > 0.001:
            outcome.broken.append(
                f"{name} tells {by_type[name]['lost_s']} s, not {lost / RATE:.3f}"
            )
