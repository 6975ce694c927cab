"""The picture: a run's state as lines of styled text for a terminal of a given size.

Pure functions. Where room is scarce what matters least goes first, in a written order; nothing is
refused, and no line is wider than the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtpipe_control.commands.top import panes, table, talk, words
from rtpipe_control.commands.top.cells import (
    Line,
    Span,
    apart,
    clean,
    clip,
    cut,
    dimmed,
    fit,
    in_ascii,
    width_of,
)
from rtpipe_control.commands.top.keys import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe_control.commands.top.keys import Key
    from rtpipe_control.commands.top.look import Look
    from rtpipe_control.commands.top.state import State

_STRIP_FROM_ROWS = 30
_SMALL = (40, 8)
_TITLED_ROWS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What is shown, and how much of it."""

    strip: bool
    warnings: int
    said: int
    rules: bool
    call: bool
    waits: int
    folded: bool


def picture(state: State, look: Look, width: int, height: int) -> list[Line]:
    """Return at most `height` lines of at most `width` cells."""
    found = keys(state, look.selected, talking=look.talking, listener=look.listener)
    if not state.about:
        lines = _without(state, width)
    elif look.keys:
        lines = _help(state, look, found, width, height)
    elif width < _SMALL[0] or height < _SMALL[1]:
        lines = _small(state, look, found, width, height)
    else:
        lines = _whole(state, look, found, width, height)
    lines = [clip(line, width) for line in lines[:height]]
    if state.about and (state.gone or state.quiet_s > panes.QUIET_S) and not look.keys:
        lines = [*lines[:1], *(dimmed(line) for line in lines[1:])]
    return [in_ascii(line) for line in lines] if look.ascii else lines


# -- the whole -----------------------------------------------------------------------------------


def _whole(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    devices = not found["d"].why_not
    columns = table.Columns.of(state, width)
    blocks = {
        id: table.rows(state, id, columns, selected=id == look.selected, devices=devices)
        for id in state.stages
    }
    converts = table.converters(state, columns) if width >= panes.WIDE else []
    most = len(state.said)
    plan = Plan(
        strip=width >= panes.WIDE and height >= _STRIP_FROM_ROWS and bool(state.peer),
        warnings=_most_warnings(state, look, width, height),
        said=min(most, 4),
        rules=True,
        call=bool(panes.call_parts(state)),
        waits=min(len(state.waits), 10 if height >= _STRIP_FROM_ROWS else 3),
        folded=False,
    )
    inspects = bool(look.selected)
    if inspects:
        plan = replace(plan, waits=0, said=max(plan.said, 4))

    def rows(plan: Plan) -> int:
        stages = 1 + sum(map(len, blocks.values())) + len(converts)
        if plan.folded:
            stages = min(stages, 4)
        waits = plan.waits + 1 if plan.waits else 0
        rules = (3 + bool(plan.strip) + plan.call + bool(plan.waits)) * plan.rules
        strip = talk.STRIP_ROWS if plan.strip else 0
        parts = (1, strip, stages, plan.call, waits, plan.said, max(plan.warnings, 0), 1, rules)
        return sum(parts)

    plan = _reduced(plan, rows, height)
    rule = [(Span("─" * width, "dim"),)] if plan.rules else []
    top: list[Line] = [panes.header(state, look, width)]
    if plan.strip:
        top += [*rule, *talk.strip(state, width)]
    bottom = _bottom(state, look, found, plan.warnings, width)
    call = [*rule, panes.call(state, width)] if plan.call else []
    floor = (1 if plan.said else 0) + (plan.waits + 1 + len(rule) if plan.waits else 0)
    room = height - len(top) - len(rule) * 2 - len(call) - len(bottom) - floor
    stages = _stages(state, blocks, [*rule, table.head(columns)], converts, room)
    middle = height - len(top) - len(stages) - len(call) - len(bottom) - len(rule)
    lines = [*top, *stages, *call]
    lines += _middle(state, look, plan, rule, width, middle)
    lines += [()] * (height - len(lines) - len(bottom) - len(rule))
    return [*lines, *rule, *bottom]


def _reduced(plan: Plan, rows: Any, height: int) -> Plan:
    """Return the plan with as much as fits; what is named first goes first."""
    for less in (
        {"strip": False},
        {"warnings": 1},
        {"said": 2},
        {"waits": 2},
        {"rules": False},
        {"call": False},
        {"waits": 1},
        {"said": 1},
        {"folded": True},
    ):
        if rows(plan) <= height:
            break
        value = {name: min(getattr(plan, name), new) for name, new in less.items()}
        plan = replace(plan, **value if less != {"folded": True} else less)
    return plan


def _stages(
    state: State,
    blocks: dict[str, list[Line]],
    head: list[Line],
    converts: list[Line],
    room: int,
) -> list[Line]:
    """Return the table in the rows there are: those in trouble first, those that are well fold."""
    lines = [line for block in blocks.values() for line in block]
    if len(head) + len(lines) + len(converts) <= room:
        return [*head, *lines, *converts]
    if len(head) + len(lines) <= room:
        return [*head, *lines]
    left = room - len(head) - 1
    ill = [id for id in blocks if not table.is_well(state, id)]
    shown: set[str] = set()
    for id in [*ill, *(id for id in blocks if id not in ill)]:
        if len(blocks[id]) <= left or id in ill[:1]:
            shown.add(id)
            left -= len(blocks[id])
    kept = [line for id, block in blocks.items() if id in shown for line in block]
    well = sum(1 for id in blocks if id not in shown and id not in ill)
    hidden = len(blocks) - len(shown) - well
    told = ", ".join(
        filter(None, (f"+ {well} well" if well else "", f"↓ {hidden} more" if hidden else ""))
    )
    return [*head, *kept, *([(Span(f" {told}", "dim"),)] if told else [])]


def _middle(
    state: State, look: Look, plan: Plan, rule: Sequence[Line], width: int, rows: int
) -> list[Line]:
    """Return what is waited for and said; on a wide terminal the events beside it."""
    if rows <= len(rule):
        return []
    rows -= len(rule)
    pane = min(60, width // 2 - 12) if width >= panes.WIDE else 0
    left_width = width - pane - 2 if pane else width
    if look.selected:
        left = panes.inspector(state, look.selected, left_width, rows)
    else:
        left = talk.waits(state, plan.waits, left_width)
        if left and pane and rows > _TITLED_ROWS:
            left += [(), (Span(" SAID", "dim"),)]
        elif left and not pane:
            left += rule
        left += talk.said(state, max(rows - len(left), 0), left_width)
        if not left and not pane:
            left = [(Span(" "), *line) for line in panes.events(state, look, width - 1, rows)]
    left = left[:rows]
    if not pane:
        return [*rule, *left]
    right = panes.events(state, look, pane, rows)
    found: list[Line] = [*rule]
    for number in range(rows):
        line = clip(left[number], left_width) if number < len(left) else ()
        gap = " " * (left_width - width_of(line))
        event = right[number] if number < len(right) else ()
        found.append((*line, Span(gap), Span("│", "dim"), Span(" "), *event))
    return found


# -- parts ---------------------------------------------------------------------------------------


def _most_warnings(state: State, look: Look, width: int, height: int) -> int:
    if look.warnings:
        return len(state.warnings)
    return min(len(state.warnings), 3 if width >= panes.WIDE and height >= _STRIP_FROM_ROWS else 1)


def _bottom(
    state: State, look: Look, found: dict[str, Key], warnings: int, width: int
) -> list[Line]:
    """Return the last warnings, or the outcome of the last key, and the keys."""
    lines: list[Line] = []
    text, trouble = look.said
    shown = [*state.warnings][-warnings:] if warnings > 0 else []
    if text:
        line = Span(f" {'✕ ' if trouble else ''}{clean(text)}", "fault" if trouble else "")
        lines.append((line,))
        shown = shown[1:] if len(shown) > 1 else []
    lines += [panes.warning(state, event) for event in shown]
    hidden = len(state.warnings) - len(shown)
    if shown and hidden and not look.warnings and not text:
        count = f" {len(shown)} of {len(state.warnings)}  w "
        lines[-1] = apart(lines[-1], (Span(count, "dim"),), width)
    return [*lines, panes.key_line(found, width)]


def _small(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    """Return line 1, what is wrong, the keys: there is always room for that."""
    lines = [panes.header(state, look, width)]
    for id in state.stages:
        if not table.is_well(state, id):
            text = f" {words.mark(state, id)} {clean(id)}: {words.now(state, id, width)}"
            lines.append((Span(text, "fault"),))
    if look.said[0]:
        lines.append((Span(f" {clean(look.said[0])}"),))
    lines = lines[: max(1, height - 1)]
    lines += [()] * (height - 1 - len(lines))
    return [*lines, panes.key_line(found, width)] if height > 1 else lines


def _without(state: State, width: int) -> list[Line]:
    text = f"{state.gone}; it is looked for." if state.gone else "Looking…"
    return [(Span(cut(f" {text}", width)),), (Span(" q quit"),)]


def _help(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    """Return what each key does, and why one does nothing."""
    lines: list[Line] = [panes.header(state, look, width)]
    if height >= len(found) + 4:
        lines.append((Span("─" * width, "dim"),))
    for key in found.values():
        style = "dim" if key.why_not else ""
        row = [Span(f" {fit(key.key, 7)}", style)]
        if key.why_not:
            row += [Span(f"{key.label}: ", style), Span(f"not now: {clean(key.why_not)}", style)]
        else:
            row.append(Span(clean(key.about)))
        lines.append(tuple(row))
    lines += [()] * (height - 1 - len(lines))
    return [*lines[: height - 1], (Span(" ? back   q quit"),)]
