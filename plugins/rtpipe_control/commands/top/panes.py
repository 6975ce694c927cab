"""The parts of the picture that stand alone: the sentence, the call, events, a stage, the keys."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from rtpipe_control.commands.top import talk, words
from rtpipe_control.commands.top.cells import Line, Span, apart, clean, clip, cut, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe_control.commands.top.keys import Key
    from rtpipe_control.commands.top.look import Look
    from rtpipe_control.commands.top.state import State

QUIET_S = 2.0
"""Levels come ten times a second: what is silent for longer is no news."""
WIDE = 100
"""Columns from which on there is room beside the conversation."""


_FIRST = ("q", "?", "m", "space", "x", "s", "↑↓", "l", "d", "+−", "/", "p")
"""The keys, the last first to go where the line is short."""


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
    if state.gone or state.quiet_s > QUIET_S:
        again = "it does not answer; it is looked for" if state.gone else "it does not answer"
        return f"NO NEWS FOR {state.quiet_s:.0f} S", again, "fault"
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


def call_parts(state: State) -> list[str]:
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


def call(state: State, width: int) -> Line:
    """Return as much of the call as fits."""
    parts = call_parts(state)
    between = "   " if width >= WIDE else " · "
    while len(parts) > 1 and cell_len(between.join(parts)) + 1 > width:
        parts.pop()
    return (Span(f" {between.join(parts)}"),)


def events(state: State, look: Look, width: int, rows: int) -> list[Line]:
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


def warning(state: State, event: dict[str, Any]) -> Line:
    """Return a warning's line."""
    return (
        Span(" ! "),
        Span(f"{words.clock(event['at'])} ", "dim"),
        Span(f"{clean(event['source'])}: {words.warning(state, event)}"),
    )


def key_line(found: dict[str, Key], width: int) -> Line:
    """Return the keys that fit; those that do nothing now are grey."""
    shown = [*_FIRST]
    if width < WIDE:
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


def inspector(state: State, id: str, width: int, rows: int) -> list[Line]:
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
    return [clip(line, width) for line in lines]


def _flowing(title: str, words: Sequence[Span], width: int) -> list[Line]:
    """Return `words` in as many rows as they need, beside a title."""
    rows: list[list[Span]] = [[Span(f" {title:9} ", "dim")]]
    for word in words:
        if len(rows[-1]) > 1 and width_of(tuple(rows[-1])) + cell_len(word.text) > width:
            rows.append([Span(" " * 11)])
        rows[-1] += [word, Span("  ")]
    return [tuple(row) for row in rows]
