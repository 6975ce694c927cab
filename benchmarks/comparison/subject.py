"""What is measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Subject:
    """A program, and what tells its figures.

    Attributes:
        name: What the page calls it.
        command: The program and its arguments.
        tells: `prints`: its last line of JSON. `process`: what the whole process took.
        output: A WAV file that it writes; its samples are compared.
        same: Whether the samples must be those of the others that say so.
        pinned: Whether it is kept on one core.
        ours: Whether the short form has it: it needs nothing but rtpipe.
    """

    name: str
    command: tuple[str, ...]
    tells: Literal["prints", "process"] = "prints"
    output: Path | None = None
    same: bool = False
    pinned: bool = True
    ours: bool = False


@dataclass(frozen=True)
class Section:
    """Subjects that do the same work.

    Attributes:
        name: For `--only`.
        title: Of its chapter.
        says: What is measured, in a paragraph of the page.
        figures: The figures of its table, each with its unit; the plot shows the first.
        reference: The subject that ratios are taken to.
        subjects: What is measured.
        most_rounds: How often at most; a section that takes long takes less often.
    """

    name: str
    title: str
    says: str
    figures: tuple[str, ...]
    reference: str
    subjects: tuple[Subject, ...]
    most_rounds: int = 1000


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        frames: In each run of a cost.
        repeats: Of it, in one process.
        seconds: Of each run in real time.
        pipelines: How many run beside each other.
        batch_s: Length of the file (s).
        stage_counts: Points of that curve.
        pipeline_counts: Points of that curve.
        call_counts: Points of that curve.
        lengths_ms: Points of that curve.
        idle_s: How long the idle kiosk is watched.
    """

    frames: int = 2000
    repeats: int = 3
    seconds: float = 3.0
    pipelines: int = 50
    batch_s: int = 600
    stage_counts: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    pipeline_counts: tuple[int, ...] = (1, 10, 50, 200, 500)
    call_counts: tuple[int, ...] = (1, 2, 5, 10, 20)
    lengths_ms: tuple[int, ...] = (10, 20, 40, 100, 200, 500, 1000)
    idle_s: float = 8.0

    def scaled(self, factor: float) -> Sizes:
        """Return sizes so many times as large, none of them nothing."""
        least = {"repeats": 1, "pipelines": 2, "batch_s": 3, "frames": 20, "idle_s": 1.0}
        changed: dict[str, float] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                continue
            scaled = max(value * factor, least.get(field.name, 0.3))
            changed[field.name] = round(scaled) if isinstance(value, int) else scaled
        # A file of whole phrases, so that every length has speech and silence in it.
        changed["batch_s"] = max(3, round(changed["batch_s"] / 3) * 3)
        few = factor < 0.5
        return replace(
            self,
            **changed,  # type: ignore[arg-type] # an int stays one
            stage_counts=self.stage_counts[::3] if few else self.stage_counts,
            pipeline_counts=self.pipeline_counts[:2] if few else self.pipeline_counts,
            call_counts=self.call_counts[:2] if few else self.call_counts,
            lengths_ms=self.lengths_ms[1::3] if few else self.lengths_ms,
        )


@dataclass(frozen=True)
class Setting:
    """Where and how much.

    Attributes:
        peers: The folder that `peers.install` fills.
        work: A folder in memory for files.
        sizes: How much is measured.
    """

    peers: Path
    work: Path
    sizes: Sizes

    @property
    def recording(self) -> Path:
        """The file of the batch section."""
        return self.work / "in.wav"
