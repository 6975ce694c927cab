"""The conversation: the last 20 s as a strip, the waits in their parts, what was said."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING

from rich.cells import cell_len

from rtpipe_control.commands.top import words
from rtpipe_control.commands.top.cells import (
    Span,
    apart,
    clean,
    clip,
    cut,
    fit,
    width_of,
    wrapped,
)
from rtpipe_control.commands.top.state import HISTORY_S, PARTS

if TYPE_CHECKING:
    from rtpipe_control.commands.top.cells import Line
    from rtpipe_control.commands.top.state import Said, State, Wait

STRIP_ROWS = 5
_GREW_MS = 5
_FILL = {
    "device": ("░", "visitor"),
    "dsp": ("░", "visitor"),
    "queue": ("░", "visitor"),
    "hangover": ("╱", "dim"),
    "network": ("▒", "dim"),
    "model": ("█", "model"),
    "jitter": ("▪", ""),
    "playout": ("▪", ""),
}
_STEPS = "▁▂▃▄▅▆▇█"
_SPEAKER = 9
_MANY_ROWS = 8
_TIME = 9
_SILENT_DB = -60.0
_DIGITS = re.compile(r"(\d\.\d)\d+")
_IDS = re.compile(r"\b\w*(?:_id|_index|obfuscation)=\S+ ?")


def strip(state: State, width: int) -> list[Line]:
    """Return the last 20 s: who spoke when, when the gate was closed, how long was waited."""
    peer = state.peer
    if peer is None or not peer["inputs"]:
        return []
    cells = min(int(HISTORY_S * 5), width - 13)
    now = state.history[-1][0] if state.history else state.now  # it moves 5 times a second
    begins = now - HISTORY_S

    def at(second: float) -> int:
        return int((second - begins) / HISTORY_S * cells)

    def loudest(id: str) -> list[float]:
        found = [-120.0] * cells
        for second, levels in state.history:
            if 0 <= at(second) < cells:
                found[at(second)] = max(found[at(second)], levels.get(id, -120.0))
        return found

    labels, times, gate = [" "] * cells, [" "] * cells, [" "] * cells
    for wait in state.waits:
        _write(labels, at(wait.at), f"{wait.total_ms / 1000:.2f} s")
    for second in range(max(0, int(begins / 5) * 5), int(now) + 1, 5):
        _write(times, at(second), words.clock(second).partition(".")[0])
    for begin, end in _closed(state):
        for cell in range(max(0, at(begin)), min(cells, at(end) + 1)):
            gate[cell] = "▔"
    return [
        (Span(" " * 12), Span("".join(labels))),
        (Span(f" {'visitor':10} ", "visitor"), *_curve(loudest(peer["inputs"][0]), "visitor")),
        (Span(f" {'gate':10} "), Span("".join(gate), "dim")),
        (Span(f" {'desk':10} ", "model"), *_curve(loudest(peer["id"]), "model")),
        (Span(" " * 12), Span("".join(times), "dim")),
    ]


def _write(cells: list[str], at: int, text: str) -> None:
    if at >= 0 and at + len(text) <= len(cells):
        cells[at : at + len(text)] = text


def _closed(state: State) -> list[tuple[float, float]]:
    """Return when a gate was closed: from, to."""
    found, since = [], dict[str, float]()
    for at, id, closed in state.gates:
        if closed:
            since.setdefault(id, at)
        elif id in since:
            found.append((since.pop(id), at))
    return [*found, *((at, state.now) for at in since.values())]


def _curve(levels: list[float], style: str) -> list[Span]:
    spans: list[Span] = []
    for level in levels:
        silent = level <= _SILENT_DB
        step = round((level - _SILENT_DB) / -_SILENT_DB * 1.3 * (len(_STEPS) - 1))
        text = "·" if silent else _STEPS[max(0, min(len(_STEPS) - 1, step))]
        kind = "dim" if silent else style
        if spans and spans[-1].style == kind:
            spans[-1] = Span(spans[-1].text + text, kind)
        else:
            spans.append(Span(text, kind))
    return spans


# -- waits ---------------------------------------------------------------------------------------


def cell_ms(waits: list[Wait], room: int) -> float:
    """Return how much one cell stands for: one scale for all turns."""
    longest = max((wait.total_ms for wait in waits), default=0.0)
    size = 50.0 if longest <= 3000 else 100.0
    while longest / size > max(room, 1):
        size *= 2
    return size


def waits_head(state: State, shown: list[Wait], width: int, room: int) -> Line:
    """Return the line above the waits: what the bars mean."""
    title: Line = (Span(f" {'WAITED':9}", "dim"),)
    legend: list[Span] = []
    seen: set[str] = set()
    for part in PARTS:
        glyph, style = _FILL[part]
        if glyph not in seen and any(wait.parts[part] >= 1 for wait in shown):
            seen.add(glyph)
            legend += [Span(glyph, style), Span(f" {part}  ", "dim")]
    size = Span(f"one cell {cell_ms(shown, room):.0f} ms ", "dim")
    median = statistics.median(wait.total_ms for wait in state.waits) / 1000
    named: Line = (*title, Span(f"median {median:.2f} s"))
    several = len(state.waits) > 1
    for left, right in ((named if several else title, (*legend, size)), (title, (*legend, size))):
        if width_of((*left, *right)) + 2 <= width:
            return apart(left, right, width)
    fits = width_of((*title, *legend)) < width
    return apart(title, tuple(legend), width) if fits else title


def waits(state: State, count: int, width: int) -> list[Line]:
    """Return a heading and the last waits, the newest last."""
    if not count or not state.waits:
        return []
    shown = state.waits[-count:]
    previous = state.waits[-count - 1] if len(state.waits) > count else None
    room = bar_room(width)
    size = cell_ms(shown, room)
    rows = [waits_head(state, shown, width, room)]
    for wait in shown:
        rows.append(clip(_wait(wait, previous, size, width), width))
        previous = wait
    return rows


def bar_room(width: int) -> int:
    """Return how many cells a bar may take."""
    return max(1, width - 20 - (24 if width >= 60 else 0))


def _wait(wait: Wait, previous: Wait | None, size: float, width: int) -> Line:
    row = [
        Span(f" {fit(words.clock(wait.at), _TIME)}", "dim"),
        Span(fit(f"{wait.total_ms / 1000:.2f} s", 9)),
    ]
    passed, drawn = 0.0, 0
    for part in PARTS:
        passed += wait.parts[part]
        cells = round(passed / size) - drawn
        if cells > 0:
            glyph, style = _FILL[part]
            row.append(Span(glyph * cells, style))
            drawn += cells
    if previous is not None:
        grown = [(wait.parts[part] - previous.parts[part], part) for part in PARTS]
        grown = sorted((more, part) for more, part in grown if more >= _GREW_MS)
        told = [f"{part} +{more:.0f}" for more, part in reversed(grown)]
        if told and width >= 60:
            row.append(Span(f"  {', '.join(told)}", ""))
    return tuple(row)


# -- said ----------------------------------------------------------------------------------------


def said(state: State, rows: int, width: int) -> list[Line]:
    """Return the newest of what was said, in `rows` rows at most.

    Whole where there is room for all, or for many; else older lines are cut to one row each, and
    of the newest its end is seen.
    """
    lines = sorted(state.said.values(), key=lambda line: line.at)
    lines = [line for line in lines if line.text.strip()][-max(rows, 0) :]
    if not lines or rows <= 0:
        return []
    room = max(8, width - 2 - _TIME - _SPEAKER)
    pieces = [_said(state, line, room) for line in lines]
    if sum(map(len, pieces)) > rows and rows < _MANY_ROWS:
        pieces[:-1] = [[_one_row(state, line, room)] for line in lines[:-1]]
    newest = pieces[-1]
    most = max(min(2, rows), rows - len(pieces) + 1)
    if len(newest) > most:
        pieces[-1] = [newest[0], *newest[len(newest) - most + 1 :]]
    found: list[Line] = []
    for piece in reversed(pieces):
        if len(piece) + len(found) > rows:
            break
        found = piece + found
    return found


def _head(line: Said) -> list[Span]:
    style = "visitor" if line.speaker == "visitor" else "model"
    return [
        Span(f" {fit(words.clock(line.at), _TIME)}", "dim"),
        Span(fit(line.speaker, _SPEAKER), style),
    ]


def _text(line: Said) -> str:
    return clean(line.text) + ("… interrupted" if line.cut else "")


def _one_row(state: State, line: Said, room: int) -> Line:
    return (*_head(line), *_voiced(cut(_text(line), room), _heard(state, line)))


def _said(state: State, line: Said, room: int) -> list[Line]:
    heard = _heard(state, line)
    rows: list[Line] = []
    for number, text in enumerate(wrapped(_text(line), room)):
        start = _head(line) if number == 0 else [Span(" " * (1 + _TIME + _SPEAKER))]
        rows.append((*start, *_voiced(text, heard)))
        heard -= len(text) + 1
    return rows


def _heard(state: State, line: Said) -> int:
    """Return how many characters of a line have sounded."""
    return len(_text(line)) - state.unheard(line)


def _voiced(text: str, heard: int) -> list[Span]:
    if heard >= len(text):
        return [Span(text)]
    heard = max(0, heard)
    return [Span(text[:heard]), Span(text[heard:], "dim")]


def event_text(event: dict[str, object], room: int) -> str:
    """Return an event in words: its type, then what it says."""
    type, line = clean(event["type"]), clean(event["line"])
    own = not line.startswith(type)  # else it has no words of its own, but its payload
    text = f"{type} {line}" if own else _DIGITS.sub(r"\1", _IDS.sub("", line)).rstrip()
    count = event.get("count", 1)
    times = f" × {count}" if count != 1 else ""
    return cut(text, room - cell_len(times)) + times
