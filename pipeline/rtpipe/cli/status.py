"""The status line: how a running pipeline is doing, in as much of it as a terminal is wide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.cli.columns import clipped, columns
from rtpipe.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtpipe.cli.narration import Narrator
    from rtpipe.running.state import StageState

_METER = "·▁▂▃▄▅▆▇█"
_FLOOR_DBFS = -60.0
_METER_CELLS = 6
_SHORT_METER_CELLS = 2
_BAR = " │ "
_GAP = "  "


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
    fitting = [text for text in accumulate(map(str, parts)) if columns(text) <= width]
    return fitting[-1] if fitting else clipped(_joined(parts), width)


def _joined(parts: Sequence[_Part]) -> str:
    return "".join(map(str, parts))


def _parts(
    states: Sequence[StageState], now: float, narrator: Narrator, *, short: bool
) -> Iterator[_Part]:
    """Yield what every pipeline has, the most important first."""
    joint = _GAP if short else _BAR
    minutes, seconds = divmod(int(now * 10) / 10, 60)
    yield _Part(f"{minutes:02.0f}:{seconds:04.1f}"[: 5 if short else None], "")
    if before_audio := _before_audio(states):
        yield _Part(before_audio, joint)
    if narrator.gate:
        yield _Part(f"gate {narrator.gate:6}", joint)
    if narrator.speaker is not None:
        yield _Part(_speaking(narrator.speaker, short=short), joint)
    for state in states:
        if state.gives_stream and state.last is not None:
            cells = _SHORT_METER_CELLS if short else _METER_CELLS
            yield _Part(_named(state, _meter(audio.level_dbfs(state.last), cells)), joint)
    depth_ms = max((link.depth_ms for state in states for link in state.links), default=0.0)
    dropped_ms = sum(link.dropped_ms for state in states for link in state.links)
    yield _Part(f"dropped {dropped_ms:.0f} ms", joint)
    yield _Part(f"queue {depth_ms:3.0f} ms", joint)


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
