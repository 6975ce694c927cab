"""`rtpipe run --latency`: what visitors waited for, turn by turn and in sum.

A stage that measures turns publishes `latency.turn_measured` with `total_ms` and, as further
`…_ms`, the parts that it is the sum of; this knows no more about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtpipe.cli.narration import Line

if TYPE_CHECKING:
    from rtpipe.events import Event

MEASURED = "latency.turn_measured"
_UNIT = "_ms"
_TOTAL = "total"


class LatencyReport:
    """Collects measured turns."""

    def __init__(self) -> None:
        self._turns: list[dict[str, float]] = []

    def line(self, event: Event) -> Line:
        """Take a turn; returns what to say about it."""
        turn = {
            name.removesuffix(_UNIT): float(value)
            for name, value in event.payload().items()
            if name.endswith(_UNIT)
        }
        self._turns.append(turn)
        parts = " + ".join(f"{name} {ms:.0f}" for name, ms in turn.items() if name != _TOTAL)
        return Line(event.at, "latency", f"{turn.get(_TOTAL, 0.0):.0f} ms = {parts}")

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
