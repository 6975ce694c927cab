"""The picture: a run's state as lines of styled text for a terminal of a given size.

Pure functions. Where room is scarce what matters least goes first, in a written order; nothing is
refused, and no line is wider than the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from rtpipe_control.commands.top import table, talk, words
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
from rtpipe_control.commands.top.keys import Key, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe_control.commands.top.state import State

QUIET_S = 2.0
"""Levels come ten times a second: what is silent for longer is no news."""
_WIDE = 100
_STRIP_FROM_ROWS = 30
_SMALL = (40, 8)
_FIRST = ("q", "?", "m", "space", "x", "s", "w", "↑↓", "l", "d", "+−", "/", "p")
"""The keys, the last first to go where the line is short."""


@dataclass(slots=True)
class Look:
    """What the person before the terminal has chosen.

    Attributes:
        selected: The stage that is chosen; "" for none.
        talking: Whether the talk key was pressed, and not yet pressed again.
        warnings: Whether all warnings are shown.
        keys: Whether the keys are explained.
        match: Which events are shown: a glob over types and sources, or a part of one; "" for all.
        held: The events as they were when they were held still; None while they are not.
        said: The outcome of the last key, and whether it is trouble.
        listener: Which program plays what is listened to; "" where there is none.
        listening: What is listened to; "" for nothing.
        ascii: Whether only ASCII may be written.
    """

    selected: str = ""
    talking: bool = False
    warnings: bool = False
    keys: bool = False
    match: str = ""
    held: list[dict[str, Any]] | None = None
    said: tuple[str, bool] = ("", False)
    listener: str = ""
    listening: str = ""
    ascii: bool = False


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
    if state.about and (state.gone or state.quiet_s > QUIET_S) and not look.keys:
        lines = [*lines[:1], *(dimmed(line) for line in lines[1:])]
    return [in_ascii(line) for line in lines] if look.ascii else lines


# -- line 1 --------------------------------------------------------------------------------------


def header(state: State, look: Look, width: int) -> Line:
    """Return the sentence: the only text in reverse, found from across a room."""
    text, why, tone = _sentence(state, look)
    name = clean(state.about["run"])
    left: list[Span] = [Span(f" {cut(name, max(4, width // 4))}  ", "bold")]
    left.append(Span(f" {text} ", "reverse fault" if tone == "fault" else "reverse"))
    stand_ins = sum(1 for stage in state.stages.values() if stage["wanted"])
    right = [f"up {words.duration(state.now)} "]
    if stand_ins:
        right.insert(0, f"{stand_ins} stand-in{'s' if stand_ins > 1 else ''}    ")
    room = width - width_of(tuple(left))
    if sum(map(cell_len, right)) + cell_len(_short(why, 40)) + 4 > room:
        right = right[-1:]  # the stand-ins have their mark below
    if sum(map(cell_len, right)) + 2 > room:
        right = []
    end = Span("".join(right), "")
    room -= cell_len(end.text) + 4
    if room >= 12:
        left.append(Span(f"  {_short(why, room)}"))
    return apart(tuple(left), (end,), width)


def _sentence(state: State, look: Look) -> tuple[str, str, str]:
    if state.ended and state.gone:
        return "THE PIPELINE HAS ENDED", "as soon as it runs again it is shown", ""
    if state.gone:
        return (
            f"NO NEWS FOR {state.quiet_s:.0f} S",
            "the pipeline is gone; it is looked for",
            "fault",
        )
    if state.quiet_s > QUIET_S:
        return f"NO NEWS FOR {state.quiet_s:.0f} S", "the pipeline does not answer", "fault"
    text = clean(state.condition["text"]).rstrip(".").upper()
    sign = "✕ " if state.condition["tone"] == "fault" else ""
    if look.talking:
        return "TALKING", "press space again when you are done", "ink"
    return f"{sign}{text}", clean(state.condition["why"]).rstrip("."), state.condition["tone"]


def _short(why: str, room: int) -> str:
    """Return the reason, its first clauses where it is too long."""
    if cell_len(why) > room and "; " in why:
        why = why.partition("; ")[0]
    return cut(why.removeprefix("The ") if cell_len(why) > room else why, room)


# -- the whole -----------------------------------------------------------------------------------


def _whole(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    devices = not found["d"].why_not
    columns = table.Columns.of(state, width)
    blocks = {
        id: table.rows(state, id, columns, selected=id == look.selected, devices=devices)
        for id in state.stages
    }
    converts = table.converters(state, columns) if width >= _WIDE else []
    most = len(state.said)
    plan = Plan(
        strip=width >= _WIDE and height >= _STRIP_FROM_ROWS and bool(state.peer),
        warnings=_most_warnings(state, look, width, height),
        said=min(most, 4),
        rules=True,
        call=bool(_call_parts(state)),
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
    top: list[Line] = [header(state, look, width)]
    if plan.strip:
        top += [*rule, *talk.strip(state, width)]
    bottom = _bottom(state, look, found, plan.warnings, width)
    call = [*rule, _call(state, width)] if plan.call else []
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
    pane = min(60, width // 2 - 12) if width >= _WIDE else 0
    left_width = width - pane - 2 if pane else width
    if look.selected:
        left = _inspector(state, look.selected, left_width, rows)
    else:
        left = talk.waits(state, plan.waits, left_width)
        if left:
            left += [(), (Span(" SAID", "dim"),)] if pane else rule
        left += talk.said(state, max(rows - len(left), 0), left_width)
    left = left[:rows]
    if not pane:
        return [*rule, *left]
    right = _events(state, look, pane, rows)
    found: list[Line] = [*rule]
    for number in range(rows):
        line = clip(left[number], left_width) if number < len(left) else ()
        gap = " " * (left_width - width_of(line))
        event = right[number] if number < len(right) else ()
        found.append((*line, Span(gap), Span("│", "dim"), Span(" "), *event))
    return found


# -- parts ---------------------------------------------------------------------------------------


def _call_parts(state: State) -> list[str]:
    """Return what is measured of the call, the least important last."""
    peer = state.peer
    if peer is None:
        return []
    since = state.facts.get((peer["id"], "call"))
    media = state.facts.get((peer["id"], "media"))
    parts = (
        ["no call"]
        if since is None
        else [f"CALL {words.clock(state.now - since).partition('.')[0]}"]
    )
    if since is None or media is None:
        return parts
    parts.append(
        f"round trip {media['rtt_ms']:.1f} ms" if media["rtt_ms"] is not None else "round trip –"
    )
    parts.append(f"packets lost {media['packets_lost']} of {media['packets_received']}")
    parts.append(f"concealed {media['concealed_ms']:.0f} ms")
    parts.append(f"jitter {media['jitter_ms']:.1f} ms")
    parts.append(f"buffer {media['buffer_ms']:.0f} ms")
    return parts


def _call(state: State, width: int) -> Line:
    parts = _call_parts(state)
    between = "   " if width >= _WIDE else " · "
    while len(parts) > 1 and cell_len(between.join(parts)) + 1 > width:
        parts.pop()
    return (Span(f" {between.join(parts)}"),)


def _events(state: State, look: Look, width: int, rows: int) -> list[Line]:
    """Return the events' heading and the newest that match."""
    events = [*state.events] if look.held is None else look.held
    told = [event for event in events if matches(look.match, event)]
    held = "p go on" if look.held is not None else "p pause"
    newer = state.count - sum(event.get("count", 1) for event in events) if look.held else 0
    head = f"EVENTS  {len(told)}" + (f" of {len(events)}" if look.match else "")
    if look.held is not None and newer > 0:
        head += "  held"
    keys = f"/ {cut(clean(look.match), 16) or 'match'}  {held} "
    found = [apart((Span(head, "dim"),), (Span(keys, "dim"),), width)]
    for event in told[-(rows - 1) :] if rows > 1 else []:
        style = {"warning": "bold", "error": "fault"}.get(event["importance"], "")
        style = "dim" if event["importance"] == "detail" else style
        text = talk.event_text(event, width - 9)
        found.append((Span(fit(words.clock(event["at"]), 8), "dim"), Span(text, style)))
    return found


def matches(pattern: str, event: dict[str, Any]) -> bool:
    """Return whether an event is among those wanted."""
    if not pattern:
        return True
    names = (f"{event['type']}", f"{event['source']}")
    return any(fnmatchcase(name, pattern) or pattern in name for name in names)


def _most_warnings(state: State, look: Look, width: int, height: int) -> int:
    if look.warnings:
        return len(state.warnings)
    return min(len(state.warnings), 3 if width >= _WIDE and height >= _STRIP_FROM_ROWS else 1)


def _warning(state: State, event: dict[str, Any]) -> Line:
    return (
        Span(" ! "),
        Span(f"{words.clock(event['at'])} ", "dim"),
        Span(f"{clean(event['source'])}: {words.warning(state, event)}"),
    )


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
    lines += [_warning(state, event) for event in shown]
    hidden = len(state.warnings) - len(shown)
    if shown and hidden and not look.warnings and not text:
        count = f" {len(shown)} of {len(state.warnings)}  w "
        lines[-1] = apart(lines[-1], (Span(count, "dim"),), width)
    return [*lines, _keys(found, width)]


def _keys(found: dict[str, Key], width: int) -> Line:
    """Return the keys that fit; those that do nothing now are grey."""
    shown = [key for key in _FIRST if key != "w"]
    if width < _WIDE:
        shown = [key for key in shown if key not in {"p", "/"}]

    def line(names: list[str]) -> Line:
        spans = [Span(" ")]
        for name, key in found.items():
            if name in names:
                spans.append(Span(f"{key.key} {key.label}", "dim" if key.why_not else ""))
                spans.append(Span("  "))
        return tuple(spans[:-1])

    while len(shown) > 1 and width_of(line(shown)) > width:
        shown.pop()
    return line(shown)


def _small(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    """Return line 1, what is wrong, the keys: there is always room for that."""
    lines = [header(state, look, width)]
    for id in state.stages:
        if not table.is_well(state, id):
            text = f" {words.mark(state, id)} {clean(id)}: {words.now(state, id)}"
            lines.append((Span(text, "fault"),))
    if look.said[0]:
        lines.append((Span(f" {clean(look.said[0])}"),))
    lines = lines[: max(1, height - 1)]
    lines += [()] * (height - 1 - len(lines))
    return [*lines, _keys(found, width)] if height > 1 else lines


def _without(state: State, width: int) -> list[Line]:
    text = f"{state.gone}; it is looked for." if state.gone else "Looking…"
    return [(Span(cut(f" {text}", width)),), (Span(" q quit"),)]


def _help(state: State, look: Look, found: dict[str, Key], width: int, height: int) -> list[Line]:
    """Return what each key does, and why one does nothing."""
    lines: list[Line] = [header(state, look, width)]
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


def _inspector(state: State, id: str, width: int, rows: int) -> list[Line]:
    """Return the chosen stage's actions, options and own events."""
    stage = state.stages[id]
    asked = stage["wanted"]["stage"] if stage["wanted"] else ""
    lines: list[Line] = [
        (
            Span(f" {clean(id)}", "bold"),
            Span(f"  {clean(stage['kind'])}: {clean(stage['summary'])}"),
        )
    ]
    if asked:
        lines.append((Span(" asked for ", "dim"), Span(clean(asked))))
    actions = [
        Span(clean(each["name"]), "dim" if stage["why_not"].get(each["name"]) else "")
        for each in stage["actions"]
    ]
    options = [
        Span(clean(f"{name} {value}"))
        for name, value in stage["options"].items()
        if value not in (None, [], {})
    ]
    lines += _flowing("actions", actions, width)
    lines += _flowing("options", options, width)[: max(1, rows // 3)]
    own = [event for event in state.events if event["source"] == id]
    for event in own[-max(0, rows - len(lines)) :] if rows > len(lines) else []:
        text = talk.event_text(event, width - 11)
        lines.append((Span(f" {fit(words.clock(event['at']), 9)}", "dim"), Span(text)))
    return [(line if width_of(line) <= width else clip(line, width)) for line in lines]


def _flowing(title: str, words: Sequence[Span], width: int) -> list[Line]:
    """Return `words` in as many rows as they need, beside a title."""
    rows: list[list[Span]] = [[Span(f" {title:9} ", "dim")]]
    for word in words:
        if len(rows[-1]) > 1 and width_of(tuple(rows[-1])) + cell_len(word.text) > width:
            rows.append([Span(" " * 11)])
        rows[-1] += [word, Span("  ")]
    return [tuple(row) for row in rows]
