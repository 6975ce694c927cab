"""The status line: how a running pipeline is doing, in as much of it as a terminal is wide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.cli.columns import clipped, columns
from rtpipe.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtpipe.cli.narration import Narrator
    from rtpipe.running.state import StageState

_METER = "·▁▂▃▄▅▆▇█"
_FLOOR_DBFS = -60.0
_METER_CELLS = 6
_SHORT_METER_CELLS = 2
_BAR = " │ "
_GAP = "  "
_LONGEST_NAME = 16
"""Characters of a pipeline's name in the summary of several."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the line; `joint` stands before it.

    Of constant width as far as can be: what stands behind it does not jump.
    """

    text: str
    joint: str = _BAR

    def __str__(self) -> str:
        return f"{self.joint}{self.text}"


def status_line(
    states: Sequence[StageState], now: float, narrator: Narrator, width: int = 80
) -> str:
    """Return the one line that says how a pipeline is doing.

    Args:
        states: Of its stages.
        now: Pipeline seconds.
        narrator: Who has heard its events.
        width: The columns it may take. What does not fit is left out from the end, where the least
            important stands; before that, everything is said shorter.
    """
    parts = list(_parts(states, now, narrator, short=False))
    if columns(_joined(parts)) <= width:
        parts += _gauges(states)
    else:
        parts = list(_parts(states, now, narrator, short=True))
    return _fitting(parts, width)


def summary_line(
    pipelines: Mapping[str, Sequence[StageState]],
    now: float,
    *,
    ended: int,
    failed: Sequence[str],
    width: int = 80,
) -> str:
    """Return the one line that says how pipelines beside one another are doing.

    Args:
        pipelines: The stages of those that run, by name.
        now: Seconds since the first of them started.
        ended: How many have ended, those that failed included.
        failed: The names of those that failed.
        width: As for `status_line`.
    """
    parts = list(_summary(pipelines, now, ended, failed, short=False))
    if columns(_joined(parts)) > width:
        parts = list(_summary(pipelines, now, ended, failed, short=True))
    return _fitting(parts, width)


def _summary(
    pipelines: Mapping[str, Sequence[StageState]],
    now: float,
    ended: int,
    failed: Sequence[str],
    *,
    short: bool,
) -> Iterator[_Part]:
    """Yield what several pipelines have, the most important first."""
    joint = _GAP if short else _BAR
    yield _time(now, short=short)
    yield _Part(f"{len(pipelines)} run", joint)
    if failed:
        yield _Part(f"failed {_names(failed)}", joint)
    if ended > len(failed):
        yield _Part(f"{ended - len(failed)} ended", joint)
    silent = [name for name, states in pipelines.items() if _before_audio(states)]
    if silent:
        yield _Part(f"no audio yet: {_names(silent)}", joint)
    dropped_ms = {name: _dropped_ms(states) for name, states in pipelines.items()}
    depth_ms = {name: _depth_ms(states) for name, states in pipelines.items()}
    yield _Part(f"dropped {sum(dropped_ms.values()):.0f} ms{_worst(dropped_ms)}", joint)
    yield _Part(f"queue {max(depth_ms.values(), default=0.0):3.0f} ms{_worst(depth_ms)}", joint)


def _names(names: Sequence[str]) -> str:
    first = on_one_line(names[0], _LONGEST_NAME)
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _worst(milliseconds: Mapping[str, float]) -> str:
    """Return in parentheses whose the most is."""
    name = max(milliseconds, key=milliseconds.__getitem__, default="")
    return f" ({on_one_line(name, _LONGEST_NAME)})" if milliseconds.get(name) else ""


def _fitting(parts: Sequence[_Part], width: int) -> str:
    fitting = [text for text in accumulate(map(str, parts)) if columns(text) <= width]
    return fitting[-1] if fitting else clipped(_joined(parts), width)


def _joined(parts: Sequence[_Part]) -> str:
    return "".join(map(str, parts))


def _parts(
    states: Sequence[StageState], now: float, narrator: Narrator, *, short: bool
) -> Iterator[_Part]:
    """Yield what every pipeline has, the most important first."""
    joint = _GAP if short else _BAR
    yield _time(now, short=short)
    if before_audio := _before_audio(states):
        yield _Part(before_audio, joint)
    if away := [on_one_line(state.id, _LONGEST_NAME) for state in states if state.away]:
        yield _Part(f"stand-in for {', '.join(away)}", joint)
    if narrator.gate:
        yield _Part(f"gate {narrator.gate:6}", joint)
    if narrator.speaker is not None:
        yield _Part(_speaking(narrator.speaker, short=short), joint)
    for state in states:
        if state.gives_stream and state.last is not None:
            cells = _SHORT_METER_CELLS if short else _METER_CELLS
            yield _Part(_named(state, _meter(audio.level_dbfs(state.last), cells)), joint)
    yield _Part(f"dropped {_dropped_ms(states):.0f} ms", joint)
    yield _Part(f"queue {_depth_ms(states):3.0f} ms", joint)


def _time(now: float, *, short: bool) -> _Part:
    minutes, seconds = divmod(int(now * 10) / 10, 60)
    return _Part(f"{minutes:02.0f}:{seconds:04.1f}"[: 5 if short else None], "")


def _dropped_ms(states: Sequence[StageState]) -> float:
    return sum(link.dropped_ms for state in states for link in state.links)


def _depth_ms(states: Sequence[StageState]) -> float:
    return max((link.depth_ms for state in states for link in state.links), default=0.0)


def _gauges(states: Sequence[StageState]) -> Iterator[_Part]:
    """Yield what stages say of themselves, piece by piece."""
    for state in states:
        first, *others = state.gauge.split(", ")
        if first:
            yield _Part(_named(state, first))
        yield from (_Part(on_one_line(other), ", ") for other in others)


def _before_audio(states: Sequence[StageState]) -> str:
    """Return what the first audio waits for; "" once it flows."""
    if any(state.took_audio for state in states):
        return ""
    opening = next((state for state in states if state.opening), None)
    waiting = next((state for state in states if state.waiting), None)
    if opening is not None:
        return f"opening {on_one_line(opening.id)}"
    return "no audio yet" if waiting is None else f"no audio from {on_one_line(waiting.id)} yet"


def _speaking(speaker: str, *, short: bool) -> str:
    if short:
        return f"{speaker or 'quiet':7}"
    return f"{f'{speaker} speaks' if speaker else 'quiet':14}"


def _named(state: StageState, text: str) -> str:
    return on_one_line(f"{state.id} {text}")


def _meter(level_dbfs: float, cells: int) -> str:
    share = min(max(1.0 - level_dbfs / _FLOOR_DBFS, 0.0), 1.0) * cells
    fills = (min(max(share - cell, 0.0), 1.0) for cell in range(cells))
    return "".join(_METER[round(fill * (len(_METER) - 1))] for fill in fills)
