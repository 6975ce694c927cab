"""What was expected is held against what was seen."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Pattern, RtpipeError
from rtpipe_test import golden
from rtpipe_test.moments import Moment
from rtpipe_test.observing import level_dbfs, loudest_hz, sounding

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event
    from rtpipe_test.observing import Observation
    from rtpipe_test.section import Case, Expectation

_TONE = 0.02
_MOST_SHOWN = 6
_WORDS = {"visitor": "transcript.user", "desk": "transcript.assistant"}


@dataclass(frozen=True, slots=True)
class Miss:
    """An expectation that was not met.

    Attributes:
        path: Where it stands in the test: keys and indices.
        expected: What was to be, in words.
        was: What was, line by line.
    """

    path: tuple[str | int, ...]
    expected: str
    was: tuple[str, ...]


def judge(case: Case, seen: Observation, *, update: bool = False) -> list[Miss]:
    """Return all that a run did not meet.

    Args:
        case: The test.
        seen: Its run.
        update: Whether golden files are written instead of compared.
    """
    misses = [
        Miss(("do", number), "the step is done", (why,)) for number, why in sorted(seen.unmet)
    ]
    if seen.failure is not None and not any(each.fails is not None for each in case.expect):
        misses.append(Miss(("name",), "the pipeline ends well", (_said(seen.failure),)))
    for number, expected in enumerate(case.expect):
        if update and expected.golden is not None and expected.of is not None:
            golden.write(expected.golden, seen.heard[expected.of])
            continue
        judged = _JUDGES[expected.subject](expected, seen)
        misses += [Miss(("expect", number, key), text, tuple(was)) for key, text, *was in judged]
    return misses


def _event(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.event is not None
    of_type = [each for each in seen.events if Pattern(expected.event).matches(each.type)]
    stretch = _stretch(expected, seen)
    if isinstance(stretch, str):
        yield "between", f"`{stretch}` happens", _no_such(stretch, seen)
        return
    begin, end = stretch
    met = [
        each
        for each in of_type
        if begin <= each.at <= end
        and expected.source in {None, each.source}
        and not _differs(each, expected.where)
    ]
    wanted, times = f"`{expected.event}`{_conditions(expected)}", expected.times
    if times is None and not met:
        yield "event", f"{wanted} happens", *_told(of_type, seen, expected)
    elif times is not None and len(met) != times:
        yield "times", f"{wanted} happens {_often(times)}", f"{_often(len(met))}", *_lines(met)


def _order(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.order is not None
    left = iter(seen.events)
    for n, glob in enumerate(expected.order):
        pattern = Pattern(glob)
        if not any(pattern.matches(event.type) for event in left):
            text = f"`{glob}` happens" + (f" after `{expected.order[n - 1]}`" if n else "")
            named = [e for e in seen.events if Pattern(expected.order).matches(e.type)]
            yield "order", text, *(_lines(named) or [_no_such(glob, seen)])
            return


def _words(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.words is not None
    for side, type in _WORDS.items():
        wanted = getattr(expected.words, side)
        said = [str(e.payload().get("text", "")) for e in seen.events if e.type == type]
        if wanted is not None and list(wanted) != said:
            yield "words", f"the {side} says {_quoted(wanted)}", f"said {_quoted(said)}"


def _sound(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.sound is not None
    part = _part(expected, seen, expected.sound)
    if isinstance(part, str):
        yield "between", f"`{part}` happens", _no_such(part, seen)
        return
    samples, rate = part
    loud = sounding(samples, rate or 1)
    if not len(loud):
        yield "sound", f"`{expected.sound}` sounds", _silent(seen, expected.sound)
        return
    yield from _measured(expected, loud, rate)


def _measured(
    expected: Expectation, loud: NDArray[np.float32], rate: int
) -> Iterator[tuple[str, ...]]:
    level, lasts = level_dbfs(loud), len(loud) / rate
    if expected.level_dbfs is not None and not _within(level, expected.level_dbfs):
        yield "level_dbfs", f"its level is {_range(expected.level_dbfs)} dBFS", f"{level:.1f} dBFS"
    if expected.lasts_s is not None and not _within(lasts, expected.lasts_s):
        yield "lasts_s", f"it lasts {_range(expected.lasts_s)} s", f"{lasts:.2f} s"
    if expected.tone_hz is not None:
        hz = loudest_hz(loud, rate)
        if abs(hz - expected.tone_hz) > _TONE * expected.tone_hz:
            yield "tone_hz", f"its tone has {expected.tone_hz:g} Hz", f"it has {hz:.0f} Hz"


def _silence(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.silence is not None
    part = _part(expected, seen, expected.silence)
    if isinstance(part, str):
        yield "between", f"`{part}` happens", _no_such(part, seen)
        return
    samples, rate = part
    loud = sounding(samples, rate or 1)
    if len(loud):
        told = f"{len(loud) / rate:.2f} s of sound, {level_dbfs(loud):.1f} dBFS"
        yield "silence", f"nothing is heard of `{expected.silence}`", told


def _golden(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.golden is not None
    assert expected.of is not None
    heard = seen.heard[expected.of]
    try:
        problem = golden.compared(expected.golden, heard, expected.tolerance_db)
    except (OSError, ValueError) as error:
        problem = f"{error}; `rtpipe test --update` writes it"
    if problem:
        yield "golden", f"`{expected.of}` sounds like {expected.golden.name}", problem


def _drops(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.drops_ms is not None
    lost = {id: ms for id, ms in seen.dropped_ms.items() if ms > 0}
    if sum(lost.values()) > expected.drops_ms:
        was = ", ".join(f"`{id}` {ms:g} ms" for id, ms in lost.items())
        yield "drops_ms", f"at most {expected.drops_ms:g} ms are dropped", was


def _latency(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.latency_ms is not None
    waits = [
        (event.at, float(event.payload()["total_ms"]))
        for event in seen.events
        if event.type == "latency.turn_measured"
    ]
    if not waits:
        yield "latency_ms", "somebody waits for an answer", "no turn was measured"
    for at, wait in waits:
        if wait > expected.latency_ms:
            text = f"nobody waits longer than {expected.latency_ms:g} ms"
            yield "latency_ms", text, f"{wait:.0f} ms, at {at:.2f} s"


def _file(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.file is not None
    assert seen.written is not None
    path = seen.written(expected.file)
    base = path
    while "*" in str(base):
        base = base.parent
    found = sorted(base.glob(str(path.relative_to(base)))) if base != path else [path]
    if not found or not found[0].exists():
        there = sorted(p.name for p in base.parent.rglob("*") if p.is_file())
        yield "file", f"{expected.file} is written", f"there is {', '.join(there) or 'nothing'}"
        return
    if expected.holds is not None and expected.holds not in found[0].read_text("utf-8", "replace"):
        yield "holds", f"{expected.holds!r} stands in {found[0].name}", "it does not"
    if expected.lasts_s is not None or expected.level_dbfs is not None:
        try:
            samples, rate = golden.read(found[0])
        except (OSError, ValueError) as error:
            yield "file", f"{expected.file} is a sound file", str(error)
            return
        lasts = len(samples) / rate
        if expected.lasts_s is not None and not _within(lasts, expected.lasts_s):
            yield "lasts_s", f"it lasts {_range(expected.lasts_s)} s", f"{lasts:.2f} s"
        level = level_dbfs(sounding(samples, rate))
        if expected.level_dbfs is not None and not _within(level, expected.level_dbfs):
            bounds = _range(expected.level_dbfs)
            yield "level_dbfs", f"its level is {bounds} dBFS", f"{level:.1f} dBFS"


def _fails(expected: Expectation, seen: Observation) -> Iterator[tuple[str, ...]]:
    assert expected.fails is not None
    if seen.failure is None:
        yield "fails", f"the pipeline fails: {expected.fails!r}", "it ended well"
    elif expected.fails not in _said(seen.failure):
        yield "fails", f"the pipeline fails: {expected.fails!r}", _said(seen.failure)


_JUDGES = {
    "event": _event,
    "order": _order,
    "words": _words,
    "sound": _sound,
    "silence": _silence,
    "golden": _golden,
    "drops_ms": _drops,
    "latency_ms": _latency,
    "file": _file,
    "fails": _fails,
}


def _stretch(expected: Expectation, seen: Observation) -> tuple[float, float] | str:
    """Return from when to when, or the moment that there was not."""
    if expected.between is None:
        return -math.inf, math.inf
    times = []
    for said in expected.between:
        moment = Moment.read(said)
        at = moment.at(seen.events)
        if at is None:
            return moment.event
        times.append(at)
    return times[0], times[1]


def _part(
    expected: Expectation, seen: Observation, id: str
) -> tuple[NDArray[np.float32], int] | str:
    stretch = _stretch(expected, seen)
    if isinstance(stretch, str):
        return stretch
    heard = seen.heard[id]
    if expected.between is None:
        return heard.samples(), heard.rate
    return heard.between(*stretch), heard.rate


def _differs(event: Event, where: dict[str, Any]) -> list[str]:
    """Return the fields that an event does not have as they are wanted."""
    return [name for name, wanted in where.items() if not _alike(_field(event, name), wanted)]


def _field(event: Event, name: str) -> Any:
    value: Any = event.as_dict()
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _alike(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and isinstance(value, str):
        return value == wanted or ("*" in wanted and fnmatch.fnmatchcase(value, wanted))
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _told(of_type: list[Event], seen: Observation, expected: Expectation) -> list[str]:
    assert expected.event is not None
    return _lines(of_type, expected) or [_no_such(expected.event, seen)]


def _lines(events: list[Event], expected: Expectation | None = None) -> list[str]:
    lines = []
    for event in events[:_MOST_SHOWN]:
        differing = [] if expected is None else _differs(event, expected.where)
        fields = ", ".join(f"{name}: {_field(event, name)!r}" for name in differing)
        lines.append(f"{event.at:.2f} s  {event.type} of {event.source}{fields and f', {fields}'}")
    more = len(events) - _MOST_SHOWN
    return [*lines, *([f"and {more} more"] if more > 0 else [])]


def _no_such(event: str, seen: Observation) -> str:
    family = event.split(".", maxsplit=1)[0]
    types = dict.fromkeys(each.type for each in seen.events if each.type.startswith(f"{family}."))
    return f"no `{event}`" + (f"; there were {', '.join(types)}" if types else "")


def _silent(seen: Observation, id: str) -> str:
    heard = seen.heard[id]
    whole = sounding(heard.samples(), heard.rate or 1)
    if not len(whole):
        return "silence in the whole run" if heard.rate else "no audio at all"
    return f"silence; {len(whole) / heard.rate:.2f} s sound at other times"


def _conditions(expected: Expectation) -> str:
    parts = [f"{name}: {value!r}" for name, value in expected.where.items()]
    text = f" with {', '.join(parts)}" if parts else ""
    if expected.source is not None:
        text += f" of `{expected.source}`"
    if expected.between is not None:
        first, last = (f"{m:g}" if isinstance(m, float) else m for m in expected.between)
        text += f" between {first} and {last}"
    return text


def _often(times: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


def _quoted(texts: Any) -> str:
    return ", ".join(repr(text) for text in texts) or "nothing"


def _said(failure: RtpipeError) -> str:
    return " ".join(str(failure).split())
