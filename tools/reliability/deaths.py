"""`kill -9` and SIGTERM at random moments: what is on the disk afterwards, and what is left."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import av

from tools.reliability.figures import Asked, Figures, at_once, dice
from tools.reliability.process import Run
from tools.reliability.signal_content import RATE, Foreign, likeness, parts_of, read

if TYPE_CHECKING:
    import random

LOSSLESS = ("wav", "flac")
FORMATS = ("wav", "flac", "opus", "mka", "m4a")
MOST_LOST_S = 0.5
"""To a kill."""
LONGEST_END_S = 3.0
"""After SIGTERM: `drain_s`, and a second."""
_OLD = b"what was there before"
_PRIMING = 2048
"""Samples an encoder may put before the first: AAC's, where a kill left no edit list."""
_LEAST_LIKE = 0.5

_PIPELINE = """version: 1
stages:
  - counting: {{note: note}}
  - recorder: {{path: out/rec.{ending}, overwrite: true, segment_s: 1}}
    from: counting
  - file_sink: {{path: out/sink.{ending}, overwrite: true}}
    from: counting
  - process_sink: cat
    from: counting
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a signal comes.

    Attributes:
        phase: What it is aimed at.
        after_s: Seconds after the process was started; or, of `sound`, of audio given.
    """

    phase: str
    after_s: float

    @classmethod
    def drawn(cls, dice: random.Random) -> Moment:
        """Draw one: in the first second of the process, anywhere later, or at a new segment."""
        phase = dice.choice(("start", "sound", "rotation"))
        match phase:
            case "start":
                return cls(phase, dice.uniform(0, 1))
            case "sound":
                return cls(phase, dice.uniform(0, 3.5))
            case _:
                return cls(phase, dice.choice((1, 2, 3)) + dice.uniform(-0.05, 0.25))

    def await_in(self, run: Run) -> None:
        """Return when it has come."""
        if self.phase == "start":
            run.wait_until(lambda: False, self.after_s)
        else:
            run.wait_until(lambda: run.given >= self.after_s * RATE and run.given > 0)


@dataclass(slots=True)
class Outcome:
    """What came of one run.

    Attributes:
        name: How to find it again.
        lost_s: Of the recorder's files and of the file sink's, against what was given (s).
        broken: Promises that were not kept.
        counts: What else happened, by name.
        code: The exit code, a signal's negated.
        ended_s: Until it had ended, after the signal (s).
        sounded: Whether audio had been given at all.
    """

    name: str
    lost_s: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    code: int = 0
    ended_s: float = 0.0
    sounded: bool = False


def kill(asked: Asked) -> Figures:
    """Kill runs; returns the figures."""
    return _summed("kill -9", asked, signal.SIGKILL)


def terminate(asked: Asked) -> Figures:
    """End runs by SIGTERM; returns the figures."""
    return _summed("SIGTERM", asked, signal.SIGTERM)


def _summed(name: str, asked: Asked, number: signal.Signals) -> Figures:
    outcomes = at_once(lambda n: _one(number, asked.ending, f"{asked.seed}-{n}"), asked.times)
    figures = Figures(f"{name}, .{asked.ending}", asked.times)
    figures.add("with audio given", sum(each.sounded for each in outcomes))
    for writer in ("recorder", "file_sink"):
        figures.spread(f"{writer}: lost (s)", [o.lost_s[writer] for o in outcomes if o.sounded])
    if number != signal.SIGKILL:
        figures.spread("seconds until ended", [each.ended_s for each in outcomes])
    figures.tally("exit codes", Counter(each.code for each in outcomes))
    names = ["unreadable files"]
    if number == signal.SIGKILL:
        names += ["files without audio yet", "leftovers kept and told"]
    else:
        names += ["ended before it had begun"]
    for key in names:
        figures.add(key, sum(each.counts[key] for each in outcomes))
    for each in outcomes:
        figures.broken += [f"{each.name}: {what}" for what in each.broken]
    return figures


def _one(number: signal.Signals, ending: str, seed: str) -> Outcome:
    """Run the pipeline, end it by a signal at a moment drawn by `seed`, and judge what is left."""
    moment = Moment.drawn(dice(seed))
    outcome = Outcome(f"run {seed} ({moment.phase} {moment.after_s:.3f} s)")
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        (folder / "pipeline.yaml").write_text(_PIPELINE.format(ending=ending))
        for writer in ("rec", "sink"):
            (out / f"{writer}.{ending}").write_bytes(_OLD)
        with Run(folder) as run:
            moment.await_in(run)
            if run.process.poll() is not None:
                outcome.broken.append(f"it ended by itself: {run.said[-300:]}")
            outcome.ended_s = run.end(number)
            outcome.code = run.process.returncode
            outcome.sounded = run.given > 0
            _judge_files(outcome, out, ending, run.given, killed=number == signal.SIGKILL)
            if left := run.left_behind():
                outcome.broken.append(f"left running: {left}")
            if number == signal.SIGTERM:
                _judge_end(outcome, out, run)
        _judge_next_run(outcome, folder, ending)
    return outcome


def _judge_files(outcome: Outcome, out: Path, ending: str, given: int, *, killed: bool) -> None:
    complete = out / f"rec.{ending}"
    first = out / f"rec.part.{ending}" if complete.read_bytes() == _OLD else complete
    segments = [first, *(out / f"rec-{n}.{ending}" for n in range(2, 9))]
    sink = out / f"sink.{ending}"
    sink = out / f"sink.part.{ending}" if sink.read_bytes() == _OLD else sink
    for writer, files in (("recorder", segments), ("file_sink", [sink])):
        begin = 0
        for path in files:
            if path.exists():
                begin += _judge_file(outcome, path, begin, given)
        lost = given - begin
        outcome.lost_s[writer] = lost / RATE
        if lost / RATE > (MOST_LOST_S if killed else 0):
            outcome.broken.append(f"{writer} lost {lost / RATE:.3f} s of {given / RATE:.3f}")


def _judge_file(outcome: Outcome, path: Path, begin: int, given: int) -> int:
    """Judge one file, whose first sample is the signal's `begin`-th; return how many it has."""
    if (given - begin) / RATE < MOST_LOST_S and not _opens(path):
        outcome.counts["files without audio yet"] += 1
        return 0
    try:
        data = read(path)
    except (OSError, IndexError, av.FFmpegError) as error:
        outcome.counts["unreadable files"] += 1
        outcome.broken.append(f"{path.name} ({path.stat().st_size} bytes): {error}")
        return 0
    if not _probed(path):
        outcome.counts["unreadable files"] += 1
        outcome.broken.append(f"{path.name}: ffprobe does not open it")
    if path.suffix[1:] in LOSSLESS:
        outcome.broken += judge_exact(path, begin, len(data))
        return len(data)
    like = likeness(data, begin)
    if not 0 <= like.shift <= _PRIMING or like.wandering > 48 or like.least < _LEAST_LIKE:
        outcome.broken.append(f"{path.name}: not the signal from {begin}: {like}")
    return len(data) - like.shift


def judge_exact(path: Path, begin: int, length: int) -> list[str]:
    """Return what is wrong where a file should hold `length` samples of the signal from `begin`."""
    try:
        parts = [(part.of, part.length) for part in parts_of(read(path))]
    except (OSError, IndexError, av.FFmpegError, Foreign) as error:
        return [f"{path.name}: {error}"]
    if parts != ([(begin, length)] if length else []):
        return [f"{path.name}: not {length} samples from {begin}: {parts[:4]}"]
    return []


def _opens(path: Path) -> bool:
    try:
        return len(read(path)) > 0 and _probed(path)
    except (OSError, IndexError, av.FFmpegError):
        return False


def _probed(path: Path) -> bool:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    return done.returncode == 0 and bool(json.loads(done.stdout).get("streams"))


def _judge_end(outcome: Outcome, out: Path, run: Run) -> None:
    if outcome.code == -signal.SIGTERM:  # Python was still starting: nothing may have begun
        outcome.counts["ended before it had begun"] += 1
        changed = sorted(path.name for path in out.iterdir() if path.read_bytes() != _OLD)
        if changed or run.said:
            outcome.broken.append(f"ended by the signal itself, yet {changed}: {run.said[-300:]}")
    elif outcome.code != 0:
        outcome.broken.append(f"exit code {outcome.code}: {run.said[-300:]}")
    if outcome.ended_s > LONGEST_END_S:
        outcome.broken.append(f"it took {outcome.ended_s:.1f} s to end")
    if parts := sorted(path.name for path in out.glob("*.part*")):
        outcome.broken.append(f"not complete: {parts}")
    if "Traceback" in run.said:
        outcome.broken.append(f"a traceback: {run.said[-600:]}")


def _judge_next_run(outcome: Outcome, folder: Path, ending: str) -> None:
    """The next run records again, and keeps aside what is there, and says so."""
    out = folder / "out"
    left = {path.name: path.read_bytes() for path in out.glob(f"*.part.{ending}")}
    with Run(folder, "--set", "counting.duration_s=0.3") as run:
        code = run.wait()
        if code != 0:
            outcome.broken.append(f"the next run ended with {code}: {run.said[-300:]}")
            return
        for name, held in left.items():
            kept = name.replace(".part.", ".part-2.")
            if not (out / kept).exists() or (out / kept).read_bytes() != held:
                outcome.broken.append(f"the next run did not keep {name}")
            elif f"{name} is kept in" not in run.said or kept not in run.said:
                outcome.broken.append(f"the next run did not tell of {name}: {run.said[-300:]}")
            else:
                outcome.counts["leftovers kept and told"] += 1
        for writer in ("rec", "sink"):
            if not _opens(out / f"{writer}.{ending}"):
                outcome.broken.append(f"the next run did not write {writer}.{ending}")
