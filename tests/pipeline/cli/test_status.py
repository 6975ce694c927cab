"""The status line and the lines above it: what a terminal of any width is shown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from rtpipe import audio
from rtpipe.cli.columns import clipped, columns, padded, wrapped
from rtpipe.cli.narration import Line, Narrator
from rtpipe.cli.status import status_line, summary_line
from rtpipe.events import Event
from rtpipe.link import LinkStatistics
from rtpipe.running.state import StageState, Status

LOUD = audio.from_pcm(np.full(960, 32767, np.int16), sample_rate=48_000, pts=0)
GAUGE = "rtt 3 ms, jitter 0 ms, lost 0.0 %, buffer 20 ms"


def state(id: str, gauge: str = "", **changes: Any) -> StageState:
    plain = StageState(
        id=id,
        kind=id,
        status=Status.OK,
        detail="",
        opening=False,
        ended=False,
        gives_stream=False,
        takes_stream=False,
        last=LOUD,
        links=(),
        lost_frames=0,
        gauge=gauge,
        away="",
    )
    return replace(plain, **changes)


def source(id: str, gauge: str = "", **changes: Any) -> StageState:
    return state(id, gauge, gives_stream=True, **changes)


def sink(id: str, gauge: str = "", **counted: Any) -> StageState:
    links = (LinkStatistics(**({"frames_out": 9} | counted)),)
    return state(id, gauge, takes_stream=True, links=links)


def kiosk() -> list[StageState]:
    links = (LinkStatistics(frames_out=9, depth_ms=120.0),)
    return [
        source("mic", "+38 ppm"),
        state("vad"),
        state("realtime", GAUGE, gives_stream=True, takes_stream=True, links=links),
        sink("speaker", "-2 ppm", dropped_ms=1240.0),
        sink("recorder"),
    ]


def told(*types: str) -> Narrator:
    narrator = Narrator()
    for type in types:
        narrator.line(Event(type=type, source="realtime"))
    return narrator


TALKING = ("mute_gate.closed", "turn.user_started")


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (20, "00:12  gate closed"),
        (60, "00:12  gate closed  visitor  mic ██  realtime ██"),
        (
            80,
            "00:12  gate closed  visitor  mic ██  realtime ██  dropped 1240 ms  queue 120 ms",
        ),
        (
            120,
            (
                "00:12.3 │ gate closed │ visitor speaks │ mic ██████ │ realtime ██████"
                " │ dropped 1240 ms │ queue 120 ms │ mic +38 ppm"
            ),
        ),
        (
            200,
            (
                "00:12.3 │ gate closed │ visitor speaks │ mic ██████ │ realtime ██████"
                " │ dropped 1240 ms │ queue 120 ms │ mic +38 ppm"
                " │ realtime rtt 3 ms, jitter 0 ms, lost 0.0 %, buffer 20 ms │ speaker -2 ppm"
            ),
        ),
    ],
)
def test_what_a_kiosk_shows(width: int, line: str) -> None:
    assert status_line(kiosk(), 12.34, told(*TALKING), width) == line


def test_what_is_worth_nothing_is_not_there() -> None:
    quiet = audio.silence(960, pts=0)
    shown = status_line([source("tone", last=quiet), sink("blackhole")], 61.5, told(), 80)
    assert shown == "01:01.5 │ tone ······ │ dropped 0 ms │ queue   0 ms"


def test_nobody_speaks_once_somebody_has() -> None:
    assert "│ quiet " in status_line(
        kiosk(), 0, told("vad.speech_started", "vad.speech_stopped"), 200
    )
    both = told("vad.speech_started", "playback.started")
    assert "│ model speaks " in status_line(kiosk(), 0, both, 200)


def test_what_the_first_audio_waits_for_stands_in_front() -> None:
    silent = sink("speaker", frames_out=0)
    opening = [source("mic", last=None), state("whisper", opening=True), silent]
    assert status_line(opening, 3.2, told(), 80).startswith("00:03.2 │ opening whisper │ dropped")
    waiting = [source("a"), source("mic", last=None), silent]
    assert "│ no audio from mic yet │" in status_line(waiting, 3.2, told(), 80)
    assert "│ no audio yet │" in status_line([source("a"), silent], 3.2, told(), 80)
    assert "no audio" not in status_line([*waiting[:2], sink("speaker")], 3.2, told(), 80)


def pipelines(text: some.SearchStrategy[str]) -> some.SearchStrategy[list[StageState]]:
    """Some stages, their ids and gauges made of `text`."""
    anyone = some.one_of(
        some.builds(source, text, text),
        some.builds(source, text, last=some.none()),
        some.builds(state, text, text, opening=some.booleans()),
        some.builds(
            sink,
            text,
            depth_ms=some.floats(0, 1e5),
            dropped_ms=some.floats(0, 1e9),
            frames_out=some.integers(0, 1),
        ),
    )
    return some.lists(anyone, max_size=6)


ANYTHING = some.text(max_size=60)
WORDS = some.text("abcxyz", min_size=1, max_size=20)
HEARD = some.lists(
    some.sampled_from([*TALKING, "mute_gate.opened", "turn.answer_started", "turn.user_stopped"])
)


@given(pipelines(ANYTHING), some.floats(0, 1e6), some.integers(20, 250))
def test_it_is_one_line_that_fits(states: list[StageState], now: float, width: int) -> None:
    line = status_line(states, now, told(*TALKING), width)
    assert 5 <= columns(line) <= width
    assert not any(unicodedata.category(character) == "Cc" for character in line)


@given(pipelines(WORDS), HEARD, some.integers(20, 250), some.integers(1, 100))
def test_what_stands_in_a_narrow_one_stands_in_a_wider_one(
    states: list[StageState], heard: list[str], width: int, more: int
) -> None:
    narrow, wide = (
        _parts(status_line(states, 9.5, told(*heard), columns)) for columns in (width, width + more)
    )
    assert narrow == wide[: len(narrow)]


def _parts(line: str) -> list[str]:
    """Return the first word of each part, which is the same at every width."""
    parts = re.split(r"\s*│\s*|, |\s{2,}", line)
    return [part.split()[0] for part in parts if part.strip() and not part[0].isdigit()]


@given(some.text(), some.integers(2, 100))
def test_text_is_wrapped_by_columns_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(columns(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert [columns(text) for text in ("desk", "日本", "e\u0301", "│▁·")] == [4, 4, 1, 3]
    assert clipped("日本語", 5) == "日本"
    assert clipped("e\u0301e\u0301", 1) == "e\u0301"
    assert padded("日本", 6) == "  日本"
    assert wrapped("こんにちは 世界", 6) == ["こんに", "ちは", "世界"]


def test_a_long_line_goes_on_under_its_text() -> None:
    line = Line(61.25, "visitor", "What are your opening hours today, please?", spoken=True)
    shown = click.unstyle(line.styled(48)).split("\n")
    assert shown == ["01:01.2   visitor  What are your opening hours", f"{'':19}today, please?"]
    assert "\n" not in line.styled()


def test_the_summary_says_what_matters_first() -> None:
    flows = [source("tone"), sink("blackhole", dropped_ms=20.0)]
    waits = [source("mic", last=None), sink("blackhole", frames_out=0)]
    line = summary_line({"a": flows, "b": waits}, 12.3, ended=3, failed=["c", "d"], width=120)
    assert line == (
        "00:12.3 │ 2 run │ failed c and 1 more │ 1 ended │ no audio yet: b"
        " │ dropped 20 ms (a) │ queue   0 ms"
    )
    line = summary_line({"a": flows, "b": waits}, 12.3, ended=3, failed=["c", "d"], width=60)
    assert line == "00:12  2 run  failed c and 1 more  1 ended  no audio yet: b"


def test_who_stands_in_until_something_comes_back_is_told_before_the_rest() -> None:
    states = [source("mic", away="away, tried every 30 s"), sink("speaker")]
    assert "│ stand-in for mic │ mic" in status_line(states, 5.0, told(), width=120)
    assert "stand-in" not in status_line(kiosk(), 5.0, told(), width=120)
