"""What was measured, and which promises were broken."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for.

    Attributes:
        times: How many runs.
        seed: Of the moments.
        ending: Of the files.
        stopped_s: For how long a run is suspended (s).
    """

    times: int
    seed: int
    ending: str
    stopped_s: float


@dataclass(slots=True)
class Figures:
    """The figures of one command.

    Attributes:
        title: What was done.
        times: How often.
        lines: What was measured, by name.
        broken: Promises that were not kept, each with the run.
        skipped: Why nothing was measured.
    """

    title: str
    times: int
    lines: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, name: str, value: object) -> None:
        """Add a figure."""
        self.lines[name] = f"{value}"

    def spread(self, name: str, values: Sequence[float], digits: int = 3) -> None:
        """Add the median and the maximum of `values`."""
        if values:
            middle, most = median(values), max(values)
            self.lines[name] = f"median {middle:.{digits}f}, most {most:.{digits}f}"

    def tally(self, name: str, counts: Counter[int]) -> None:
        """Add how often each value came."""
        shown = (f"{value} x {count}" for value, count in sorted(counts.items()))
        self.lines[name] = ", ".join(shown)

    def text(self) -> str:
        """Return them for a terminal."""
        if self.skipped:
            return f"{self.title}: not measured, {self.skipped}"
        rows = [f"{self.title}: {self.times} times"]
        rows += [f"  {name:28} {value}" for name, value in self.lines.items()]
        rows += [f"  BROKEN {what}" for what in self.broken]
        rows.append(f"  {'promises broken':28} {len(self.broken)}")
        return "\n".join(rows)


def dice(seed: str) -> random.Random:
    """Return what draws the moments: the same for the same seed."""
    return random.Random(seed)  # noqa: S311 - no secrets


def at_once(work: Callable[[int], T], times: int) -> list[T]:
    """Return what `work` returns for 0, 1, …; two run beside each other."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(work, range(times)))
