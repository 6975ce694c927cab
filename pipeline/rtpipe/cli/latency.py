"""`rtpipe run --latency`: what visitors waited for, turn by turn and in sum.

A stage that measures turns publishes `latency.turn_measured` with `total_ms` and, as further
`…_ms`, the parts that it is the sum of; this knows no more about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import click
import numpy as np

from rtpipe.cli.narration import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe.events import Event

MEASURED = "latency.turn_measured"
_UNIT = "_ms"
_TOTAL = "total"
_CELL_MS = 100
_MOST_CELLS = 40
_GLYPHS = {"hangover": "╱", "network": "▒", "model": "█"}
_OTHER_GLYPH = "▪"
"""The parts that the pipeline itself makes somebody wait for."""
_COLOURS = {_GLYPHS["model"]: "green"}
"""As its name has it; what nobody works for is dim."""
_DIM = {_GLYPHS["hangover"], _GLYPHS["network"]}


class LatencyReport:
    """Collects measured turns."""

    def __init__(self) -> None:
        self._turns: list[dict[str, float]] = []

    def line(self, event: Event) -> Line:
        """Take a turn; returns what to say about it: the whole, drawn in its parts, and these (ms).

        A cell is 100 ms in every turn, so that one can be held against another. Where a wait would
        be longer than 40 cells, a cell is a multiple of it, and the line says so.
        """
        turn = {
            name.removesuffix(_UNIT): float(value)
            for name, value in event.payload().items()
            if name.endswith(_UNIT)
        }
        self._turns.append(turn)
        parts = {name: ms for name, ms in turn.items() if name != _TOTAL}
        cell_ms = _CELL_MS * max(1, int(np.ceil(sum(parts.values()) / _CELL_MS / _MOST_CELLS)))
        said = [f"{name} {ms:.0f}" for name, ms in parts.items() if round(ms)]
        if cell_ms != _CELL_MS:
            said.append(f"one cell {cell_ms}")
        text = f"{_bar(parts, cell_ms)} {', '.join(said)}".strip()
        return _Wait(event.at, f"{turn.get(_TOTAL, 0.0) / 1000:.2f} s", text)

    def table(self) -> str:
        """Return the median and the 95th percentile of every part, a line each; "" for no turn."""
        if not self._turns:
            return ""
        names = [name for name in self._turns[0] if name != _TOTAL]
        count = len(self._turns)
        title = f"latency of {count} turn{'s' * (count != 1)}"
        rows = [f"{title:24}{'p50':>10}{'p95':>10}"]
        for name in [*names, _TOTAL]:
            p50, p95 = np.percentile([turn.get(name, 0.0) for turn in self._turns], [50, 95])
            rows.append(f"  {name:22}{p50:7.0f} ms{p95:7.0f} ms")
        return "\n".join(rows)


@dataclass(frozen=True, slots=True)
class _Wait(Line):
    """A wait: how long it was stands where others have their name."""

    def painted(self, who: str, text: str) -> str:
        """See `Line`."""
        bar, gap, words = text.partition(" ")
        drawn = "".join(
            click.style("".join(cells), fg=_COLOURS.get(glyph), dim=glyph in _DIM or None)
            for glyph, cells in groupby(bar)
        )
        return f"{click.style(who, bold=True)}  {drawn}{gap}{click.style(words, dim=True)}"


def _bar(parts: Mapping[str, float], cell_ms: float) -> str:
    """Return a cell for each `cell_ms`, one at least; no part is a whole one off."""
    shares = {name: max(ms, 0.0) / cell_ms for name, ms in parts.items()}
    cells = {name: int(share) for name, share in shares.items()}
    whole = sum(shares.values())
    short = max(round(whole), whole > 0) - sum(cells.values())
    for name in sorted(shares, key=lambda name: cells[name] - shares[name])[:short]:
        cells[name] += 1
    return "".join(_GLYPHS.get(name, _OTHER_GLYPH) * count for name, count in cells.items())
