"""The table of stages: what each does now, gives out, has waiting, and has lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from rtpipe_control.commands.top import words
from rtpipe_control.commands.top.cells import Span, clean, cut, fit

if TYPE_CHECKING:
    from rtpipe_control.commands.top.cells import Line
    from rtpipe_control.commands.top.state import State

FLOOR_DB = 60.0
_MARK_DB = -20.0
_TROUBLE = {"✕"}
_LOST, _NUMBER = 7, 5


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide each column is; 0 where there is no room for it."""

    id: int
    now: int
    why: int
    bar: int
    number: int
    queue: int

    @classmethod
    def of(cls, state: State, width: int) -> Columns:
        """Return those for a terminal; what matters least goes first."""
        longest = max((cell_len(id) for id in state.stages), default=5)
        id = min(max(5, longest), 14 if width >= 60 else 9)
        left = width - 2 - id - 3 - 8 - _LOST
        queue = 11 if left >= 20 else _grant(left, 2)
        left -= queue
        number = _grant(left, _NUMBER)
        left -= number
        now = 8 + min(max(left, 0), 12 if width >= 100 else 11)
        left -= now - 8
        bar = _grant(left, 15)
        left -= bar
        why = _grant(left, 16)
        if why:
            why, left = why + min(left - why, 8), max(0, left - why - 8)
            more = min(max(left, 0), 16)
            bar, left = bar + more, left - more
            why += min(max(left, 0), 24)
        elif bar:
            bar += min(max(left, 0), 16)
        return cls(id, now, why, bar, number, queue)


def _grant(left: int, wanted: int) -> int:
    return wanted if left >= wanted else 0


def head(columns: Columns) -> Line:
    """Return the line above the rows."""
    parts = [f" {fit('STAGE', columns.id)}   {fit('NOW', columns.now)}"]
    if columns.why:
        parts.append(fit("WHY", columns.why))
    if columns.bar:
        parts.append(_scale(columns.bar - 1) + " ")
    if columns.number:
        parts.append("peak ")
    if columns.queue > 2:
        parts.append(fit("QUEUE ms", columns.queue, right=True))
    elif columns.queue:
        parts.append("  ")
    parts.append(fit("LOST", _LOST, right=True))
    return (Span("".join(parts), "dim"),)


def rows(state: State, id: str, columns: Columns, *, selected: bool, devices: bool) -> list[Line]:
    """Return a stage's row, and below it what to do about what is wrong with it.

    Args:
        state: Of the run.
        id: The stage's.
        columns: How wide they are.
        selected: Whether it is chosen.
        devices: Whether a key chooses another device.
    """
    sign = words.mark(state, id)
    trouble = "fault" if sign in _TROUBLE else ""
    style = "reverse" if selected else trouble
    row = [
        Span(" "),
        Span(fit(clean(id), columns.id), style),
        Span(f" {sign} ", trouble),
        Span(words.now(state, id, columns.now - 1), trouble),
    ]
    row.append(Span(" " * (columns.now - cell_len(row[-1].text))))
    if columns.why:
        row.append(Span(fit(cut(words.why(state, id), columns.why - 1), columns.why), "dim"))
    row += _level(state, id, columns)
    row += _queue(state, id, columns)
    row.append(_lost(state, id))
    found = [tuple(row)]
    help = words.remedy(state, id, key=devices)
    if help:
        found.append((Span(" " * (columns.id + 4)), Span(f"└ {help}", trouble)))
    return found


def converters(state: State, columns: Columns) -> list[Line]:
    """Return a line for each converter that stands in front of a stage."""
    return [
        (
            Span(" " * (columns.id + 2)),
            Span("⇄ "),
            Span(fit(clean(link["converts"]), max(columns.now, 14))),
            Span(f"before {clean(link['to'])}", "dim"),
        )
        for link in state.links
        if link["converts"]
    ]


def is_well(state: State, id: str) -> bool:
    """Return whether a stage's row may be folded away."""
    return words.mark(state, id) in " ~" and not _lost_ms(state, id)[0]


# -- columns -------------------------------------------------------------------------------------


def _scale(width: int) -> str:
    """Return the heading of the bar: its ends, and where there is room the mark between."""
    title = "GIVES OUT −60"
    if width < len(title) + 5:
        return fit(title, width)
    text = [*fit(title, width)]
    text[-4:] = "0 dB"
    at = round((FLOOR_DB + _MARK_DB) / FLOOR_DB * width) - 1
    if at > len(title) and at + 4 < width - 4:
        text[at : at + 3] = "−20"
    return "".join(text)


def _level(state: State, id: str, columns: Columns) -> list[Span]:
    if not columns.number:
        return []
    size = max(0, columns.bar - 1)
    blank = " " if columns.bar else ""
    stage = state.stages[id]
    if stage["family"] == "sink":
        return [Span(" " * (columns.bar + columns.number))]
    said, style = "", "dim"
    if (id, "lost") in state.facts and state.facts[id, "lost"] is not None:
        said, style = "╳" * max(0, size - 5) + (" gone" if size else "gone"), "fault"
    elif stage["ended"]:
        said = "ended"
    if said:
        return [Span(fit(said, columns.bar + columns.number), style)]
    level = state.level(id)
    if level is None:
        return [Span(fit("–", columns.bar + columns.number), "dim")]
    rms, peak = level
    number = f"{peak:.0f}".replace("-", "−") if peak > -FLOOR_DB else ""
    number = fit(number, columns.number - 1, right=True)
    return [*_bar(rms, peak, size, _owner(state, id)), Span(blank + number + " ", _hot(peak))]


def _hot(peak: float) -> str:
    return "fault" if peak > -1 else ""


def _owner(state: State, id: str) -> str:
    """Return whose voice a stage gives out: what comes after the peer is the model's."""
    seen: set[str] = set()
    before = [id]
    while before:
        at = before.pop()
        if at in seen or at not in state.stages:
            continue
        seen.add(at)
        if state.stages[at]["family"] == "peer":
            return "model"
        before += state.stages[at]["inputs"]
    return "visitor"


def _bar(rms: float, peak: float, size: int, style: str) -> list[Span]:
    """Return the RMS as a bar, the peak as a tick, −20 dB as a mark, and silence as dots."""
    if not size:
        return []
    halves = max(0, min(2 * size, round((FLOOR_DB + rms) / FLOOR_DB * 2 * size)))
    full = "█" * (halves // 2) + "▌" * (halves % 2)
    spans = [Span(full, style)]
    if peak <= -FLOOR_DB:
        return [*spans, Span("·" * (size - len(full)), "dim")]
    mark, top = _cell(_MARK_DB, size), _cell(peak, size)
    for at in range(len(full), size):
        text = "│" if at == top else "┊" if at == mark else "·"
        kind = "" if at == top else "dim"
        if spans[-1].style == kind and at > len(full):
            spans[-1] = Span(spans[-1].text + text, kind)
        else:
            spans.append(Span(text, kind))
    return spans


def _cell(level: float, size: int) -> int:
    return max(0, min(size - 1, round((FLOOR_DB + level) / FLOOR_DB * size)))


def _links(state: State, id: str) -> list[dict[str, Any]]:
    return [link for link in state.links if link["to"] == id and link["queued"]]


def _queue(state: State, id: str, columns: Columns) -> list[Span]:
    if not columns.queue:
        return []
    links = _links(state, id)
    fullest = max(links, key=lambda link: link["depth_ms"] / max(1, link["max_ms"]), default=None)
    if fullest is None:
        return [Span(" " * columns.queue)]
    full = fullest["depth_ms"] > fullest["max_ms"] / 2
    if columns.queue <= 2:
        return [Span(" !" if full else "  ", "fault")]
    text = f"{fullest['depth_ms']:.0f}/{fullest['max_ms']:.0f}"
    return [Span(fit(text, columns.queue, right=True), "fault" if full else "")]


def _lost_ms(state: State, id: str) -> tuple[float, int]:
    """Return what the queues of a stage have lost (ms), and how many frames the stage itself."""
    links = _links(state, id)
    ms = sum(link["dropped_ms"] + link["trimmed_ms"] + link["refused_ms"] for link in links)
    return ms, state.stages[id]["lost_frames"]


def _lost(state: State, id: str) -> Span:
    ms, frames = _lost_ms(state, id)
    text = f"{ms:.0f}" if ms or not frames else f"{frames} fr"
    return Span(fit(text, _LOST, right=True), "fault" if ms or frames else "")
