"""SIGSTOP for a while: what a recording has of that time, and how late audio is afterwards."""

from __future__ import annotations

import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import av

from tools.reliability.figures import Asked, Figures, at_once, dice
from tools.reliability.process import Run
from tools.reliability.signal_content import RATE, Foreign, Part, parts_of, read

MOST_LATE_S = 0.04
"""Two frames: what the last frames may be late, once it goes on."""
MOST_SHIFT = RATE // 100
"""Samples by which a voice may stand elsewhere than where it was heard."""
_OVERRUN_S = 0.2
_AFTER_S = 3.0
_PIPELINE = """version: 1
stages:
  - counting: {{note: note{overrun}}}
  - recorder: out/rec.{ending}
    from: counting
  - file_sink: out/sink.{ending}
    from: counting
"""


@dataclass(slots=True)
class _Outcome:
    lost_s: float = 0.0
    silence_s: float = 0.0
    shift: int = 0
    late_ms: float = 0.0
    broken: list[str] = field(default_factory=list)


def stop(asked: Asked) -> Figures:
    """Suspend runs; returns the figures. Every second source loses its time, as a device does."""
    figures = Figures(f"SIGSTOP for {asked.stopped_s:g} s, .{asked.ending}", asked.times)
    if asked.ending not in {"wav", "flac"}:
        figures.skipped = f"it compares every sample, which .{asked.ending} does not keep"
        return figures
    outcomes = at_once(lambda n: _one(asked, n), asked.times)
    for name, some in (("a source that waits", 0), ("one that overruns", 1)):
        of = outcomes[some::2]
        figures.spread(f"{name}: lost (s)", [each.lost_s for each in of])
        figures.spread(f"{name}: silence (s)", [each.silence_s for each in of])
        figures.spread(f"{name}: shift (samples)", [each.shift for each in of], 0)
        figures.spread(f"{name}: late after (ms)", [each.late_ms for each in of], 1)
    for number, each in enumerate(outcomes):
        figures.broken += [f"run {asked.seed}-{number}: {what}" for what in each.broken]
    return figures


def _one(asked: Asked, number: int) -> _Outcome:
    outcome = _Outcome()
    ending, stopped_s, loses = asked.ending, asked.stopped_s, number % 2 == 1
    moment = dice(f"{asked.seed}-{number}").uniform(0.1, 2)
    overrun = f", overrun_s: {_OVERRUN_S}" if loses else ""
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        (folder / "pipeline.yaml").write_text(_PIPELINE.format(ending=ending, overrun=overrun))
        with Run(folder) as run:
            run.wait_until(lambda: run.given > moment * RATE)
            run.process.send_signal(signal.SIGSTOP)
            time.sleep(stopped_s)
            run.process.send_signal(signal.SIGCONT)
            time.sleep(_AFTER_S)
            late_s = run.lateness[1]
            run.end(signal.SIGTERM)
            outcome.late_ms = late_s * 1000
            if late_s > MOST_LATE_S:
                outcome.broken.append(f"audio is still {late_s:.2f} s late")
            if run.process.returncode != 0:
                outcome.broken.append(f"exit code {run.process.returncode}: {run.said[-300:]}")
            for file in ("rec", "sink"):
                path = folder / "out" / f"{file}.{ending}"
                _judge(outcome, path, run.given, stopped_s if loses else 0)
    return outcome


def _judge(outcome: _Outcome, path: Path, given: int, gap_s: float) -> None:
    try:
        parts = parts_of(read(path))
    except (OSError, IndexError, av.FFmpegError, Foreign) as error:
        outcome.broken.append(f"{path.name}: {error}")
        return
    silence = sum(part.length for part in parts if part.of is None)
    shifts = [abs(part.at - part.of) for part in parts if part.of is not None]
    end = parts[-1].at + parts[-1].length if parts else 0
    outcome.lost_s = max(outcome.lost_s, (given - end) / RATE)
    outcome.silence_s = max(outcome.silence_s, silence / RATE)
    outcome.shift = max(outcome.shift, *shifts)
    heard = [part for part in parts if part.of is not None]
    if max(shifts) > MOST_SHIFT or abs(given - end) > MOST_SHIFT or not _in_order(heard):
        outcome.broken.append(f"{path.name}: not the whole of {given} samples: {parts[:5]}")
    if silence and not gap_s:
        outcome.broken.append(f"{path.name}: {silence / RATE:.2f} s of silence nobody gave")
    if gap_s and not gap_s - 1 < silence / RATE < gap_s + 0.1:
        outcome.broken.append(f"{path.name}: {silence / RATE:.2f} s of silence, not {gap_s:g}")


def _in_order(parts: list[Part]) -> bool:
    ends = [(part.of or 0) + part.length for part in parts]
    return all(end <= (part.of or 0) for end, part in zip(ends, parts[1:], strict=False))
