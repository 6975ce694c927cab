"""Words as they come, and how many of them have been heard."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import rtpipe
from helpers.packages import needs_server
from rtpipe.testing import run_pipeline, run_virtual
from rtpipe_plugins.peers.realtime.events import AssistantDelta, AssistantTranscript, UserDelta
from rtpipe_plugins.peers.realtime.transcript_deltas import TranscriptDeltas
from rtpipe_plugins.peers.realtime.words_heard import USUAL_RATE, WordsHeard

if TYPE_CHECKING:
    from pathlib import Path

LINE = "The café is on the ground floor, behind the main stairs. It serves lunch until three."
SCRIPT = f"""
turns:
  - {{transcribe: Where is the café?, say: "{LINE}", sound: {{tone_hz: 600, duration_s: 5}}}}
  - {{transcribe: Say that again., say: "{LINE}", sound: {{tone_hz: 900, duration_s: 5}}}}
"""


def call(folder: Path, *, visitor: str) -> list[Any]:
    (folder / "script.yaml").write_text(SCRIPT)
    pipeline = rtpipe.loads(
        f"""
version: 1
stages:
  - {visitor}
  - realtime: {{provider: embedded, transport: memory, script: script.yaml}}
  - file_sink: {{path: out.wav, overwrite: true}}
""",
        path=folder / "pipeline.yaml",
    )
    return run_pipeline(pipeline, ["turn.*", "transcript*", "realtime.*"])


ONE_TURN = "tone: {waveform: speech_like, duration_s: 2, realtime: true}"


@needs_server
def test_the_pieces_of_a_line_are_the_line_and_come_before_it(tmp_path: Path) -> None:
    events = call(tmp_path, visitor=ONE_TURN)
    for who in ("user", "assistant"):
        (whole,) = (event for event in events if event.type == f"transcript.{who}")
        pieces = [event for event in events if event.type == f"transcript_delta.{who}"]
        assert "".join(piece.delta for piece in pieces) == whole.text
        assert {piece.item_id for piece in pieces} == {whole.item_id}
        assert all(events.index(piece) < events.index(whole) for piece in pieces)


@needs_server
def test_how_much_was_heard_is_told_four_times_a_second_up_to_all_of_it(tmp_path: Path) -> None:
    events = call(tmp_path, visitor=ONE_TURN)
    told = [event for event in events if event.type == "turn.answer_heard"]
    started, stopped = (
        next(event for event in events if event.type == f"turn.answer_{what}")
        for what in ("started", "stopped")
    )
    assert 18 <= len(told) <= 22
    pauses = [later.at - earlier.at for earlier, later in pairwise(told[:-1])]
    assert min(pauses) >= 0.249
    for event in told[:-1]:
        assert event.heard_ms == pytest.approx((event.at - started.at) * 1000, abs=25)
    chars = [event.heard_chars for event in told]
    assert chars == sorted(chars)
    assert 30 <= chars[len(chars) // 2] <= 60  # half of 86, by an estimate
    assert told[-1].heard_chars == len(LINE)
    assert told[-1].heard_ms == pytest.approx(5000, abs=25)
    assert events.index(told[-1]) < events.index(stopped)


@needs_server
def test_a_call_that_is_placed_is_told_with_its_limit(tmp_path: Path) -> None:
    events = call(tmp_path, visitor=ONE_TURN)
    told = [event for event in events if event.type.startswith("realtime.")]
    assert [event.type for event in told[:2]] == ["realtime.calling", "realtime.connected"]
    assert (told[0].attempt, told[0].timeout_s) == (1, 10.0)
    assert told[0].line().startswith("calling ")


def test_words_are_gathered_to_ten_pieces_a_second() -> None:
    published: list[Any] = []

    async def script() -> None:
        deltas = TranscriptDeltas(published.append, WordsHeard())
        for number in range(100):
            deltas.publish(AssistantDelta(delta=f"{number} ", item_id="a", response_id="r"))
            deltas.publish(UserDelta(delta=f"{number} ", item_id="b"))
            await asyncio.sleep(0.01)
        whole = AssistantTranscript(text="", item_id="a", response_id="r", interrupted=False)
        deltas.publish(whole)
        deltas.close()

    run_virtual(script())
    for kind in (AssistantDelta, UserDelta):
        pieces = [event for event in published if isinstance(event, kind)]
        assert "".join(piece.delta for piece in pieces) == "".join(f"{n} " for n in range(100))
        assert len(pieces) <= 12
        assert pieces[0].delta == "0 "
    whole = next(event for event in published if isinstance(event, AssistantTranscript))
    assert not [e for e in published[published.index(whole) :] if isinstance(e, AssistantDelta)]


def test_without_places_words_are_counted_off_at_the_voices_rate() -> None:
    words = WordsHeard()
    words.take("r", "x" * 100, None)
    assert words.heard_chars("r", 2000) == 2 * USUAL_RATE
    assert words.heard_chars("r", 60_000) == 100
    words.heard_whole("r", 10_000)
    assert words.rate == pytest.approx(10)
    words.take("s", "x" * 100, None)
    assert words.heard_chars("s", 2000) == 20
    assert words.heard_chars("unknown", 2000) == 0


def test_words_that_had_not_come_with_so_much_sound_are_not_in_it() -> None:
    words = WordsHeard()
    words.take("r", "x" * 10, None)
    words.take("r", "x" * 10, 1000.0)  # a pause behind the first ten
    words.take("r", "x" * 10, 1500.0)
    assert [words.heard_chars("r", ms) for ms in (500, 900, 1200, 1500)] == [7, 10, 18, 22]
