"""Several pipelines: those in trouble first, then by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from rtpipe import RtpipeError
from rtpipe_control import sockets
from rtpipe_control.client import Client
from rtpipe_control.commands.top import words
from rtpipe_control.commands.top.cells import Span, apart, clean, clip, fit, in_ascii

if TYPE_CHECKING:
    from rtpipe_control.commands.top.cells import Line


def runs() -> list[dict[str, Any]]:
    """Return a snapshot of each pipeline that runs, the worst first. It waits for each."""
    found = []
    for path in sockets.found():
        try:
            found.append(Client(path).snapshot())
        except RtpipeError:  # it has ended meanwhile
            continue
    return sorted(found, key=_rank)


def _rank(run: dict[str, Any]) -> tuple[bool, int, str]:
    condition = run["condition"]
    return condition["tone"] != "fault", -len(condition["alerts"]), run["run"]


def listed(
    runs: list[dict[str, Any]], chosen: str, width: int, height: int, *, ascii: bool
) -> list[Line]:
    """Return the list as lines of at most `width` cells.

    Args:
        runs: Snapshots, in order.
        chosen: The run that is chosen.
        width: Cells.
        height: Rows.
        ascii: Whether only ASCII may be written.
    """
    names = [run["run"] for run in runs]
    room = max(1, height - 3)
    at = names.index(chosen) if chosen in names else 0
    first = max(0, min(at - room // 2, len(runs) - room))
    wide = min(max(map(cell_len, names), default=4), max(6, width // 3))
    ill = sum(1 for run in runs if run["condition"]["alerts"])
    told = f" {len(runs)} pipelines" + (f", {ill} in trouble" if ill else "")
    lines: list[Line] = [(Span(told, "bold"),), (Span("─" * width, "dim"),)]
    for run in runs[first : first + room]:
        condition = run["condition"]
        alerts = condition["alerts"]
        trouble = "fault" if alerts else ""
        text = alerts[0]["text"] if alerts else f"{condition['text']} {condition['why']}"
        name = Span(fit(clean(run["run"]), wide), "reverse" if run["run"] == chosen else "")
        row = (Span(" ✕ " if alerts else "   ", trouble), name, Span(f"  {clean(text)}", trouble))
        end = Span(f"up {words.duration(run['now'])} ", "dim")
        lines.append(apart(row, (end,), width) if width >= 60 else clip(row, width))
    lines += [()] * (height - 1 - len(lines))
    keys: Line = (Span(" ↑↓ choose  Enter open  q quit"),)
    lines = [clip(line, width) for line in (*lines[: max(0, height - 1)], keys)]
    return [in_ascii(line) for line in lines] if ascii else lines
