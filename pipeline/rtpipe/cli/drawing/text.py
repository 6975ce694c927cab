"""The graph as text: a line a stage, with lanes at the left for the audio that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.cli.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.cli.drawing.facts import Facts, StageFacts


def draw(facts: Facts) -> str:
    """Return the picture; below it the events, and what they set off."""
    lanes = _Lanes(facts)
    rows: list[tuple[str, ...]] = []
    for stage in facts.stages:
        first, *more = _reads(stage, facts) or [""]
        rows.append((lanes.row(stage), stage.id, _what(stage), first))
        rows += [(lanes.below(), "", "", each) for each in more]
    lines = _table(rows)
    if facts.routes:
        lines += ["", "events"]
        lines += _table([(f"  {route.when()}", "->", route.then()) for route in facts.routes])
    return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    filled = (
        (cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return ["  ".join(cells).rstrip() for cells in filled]


def _what(stage: StageFacts) -> str:
    text = f"{stage.kind} ({stage.family})"
    text += "".join(f", else {kind}" for kind in stage.fallbacks)
    return text if stage.on_error == "fail" else f"{text}, on_error: {stage.on_error}"


def _reads(stage: StageFacts, facts: Facts) -> list[str]:
    edges = sorted((e for e in facts.edges if e.reader == stage.id), key=lambda edge: edge.inlet)
    reads = [f"{e.feeder}{f' [{words}]' if (words := e.words()) else ''}" for e in edges]
    return [f"<- {each}" for each in reads]


class _Lanes:
    """A lane for each stage whose audio somebody below still reads."""

    def __init__(self, facts: Facts) -> None:
        self._readers: dict[str, int] = {}
        for stage in facts.stages:
            for feeder in set(stage.inputs):
                self._readers[feeder] = self._readers.get(feeder, 0) + 1
        self._open: list[str | None] = []

    def row(self, stage: StageFacts) -> str:
        """Return the lanes beside `stage`, which is the dot in one of them."""
        read = [n for n, id in enumerate(self._open) if id in stage.inputs]
        for n in read:
            self._readers[str(self._open[n])] -= 1
        ending = {n for n in read if not self._readers[str(self._open[n])]}
        place = self._place(read, ending)
        drawn = "".join(
            self._sign(n, read, ending, place) for n in range(max(len(self._open), place + 1))
        )
        for n in ending:
            self._open[n] = None
        if self._readers.get(stage.id):
            self._open += [None] * (place + 1 - len(self._open))
            self._open[place] = stage.id
        while self._open and self._open[-1] is None:
            self._open.pop()
        return drawn.rstrip()

    def below(self) -> str:
        """Return the lanes that go on."""
        return "".join(" " if id is None else "│" for id in self._open)

    def _place(self, read: list[int], ending: set[int]) -> int:
        if len(read) == 1 and read[0] in ending:
            return read[0]  # straight down
        first = max(read, default=-1) + 1
        free = (n for n in range(first, len(self._open)) if self._open[n] is None)
        return next(free, len(self._open))

    def _sign(self, n: int, read: list[int], ending: set[int], place: int) -> str:
        if n == place:
            return "●"
        crossed = bool(read) and min(read) < n < place
        if n in read:
            first = n == min(read)
            if n in ending:
                return "└" if first else "┴"
            return "├" if first else "┼"
        if n < len(self._open) and self._open[n] is not None:
            return "┼" if crossed else "│"
        return "─" if crossed else " "
