"""Each thing that can be expected: met, and not met, with what was instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_tests.running import misses, outcome

TONE = """
stages:
  - tone: {frequency: 500, level_dbfs: -20, duration_s: 2, realtime: true}
  - mute_gate
  - speaker
"""
"""Two seconds of a tone, through a gate."""
MUTED = "do: [{at: 0.5, action: mute_gate.close}, {at: 1.5, action: mute_gate.open}]\n"


@pytest.mark.parametrize(
    "expected",
    [
        "event: pipeline.ended",
        "{event: 'mute_gate.*', times: 3}",
        "{event: mute_gate.closed, where: {at_ms: 500}, source: mute_gate, times: 1}",
        "{event: mute_gate.closed, between: [0.4, 0.6]}",
        "{event: mute_gate.opened, between: [mute_gate.closed + 0.9, mute_gate.closed + 1.1]}",
        "{event: tool.called, times: 0}",
        "order: [mute_gate.opened, mute_gate.closed, mute_gate.opened, pipeline.ended]",
        "{sound: speaker, level_dbfs: [-24, -20], lasts_s: [0.9, 1.1], tone_hz: 500}",
        "{sound: speaker, between: [mute_gate.opened#2 + 0.1, pipeline.ended]}",
        "{silence: speaker, between: [mute_gate.closed + 0.1, mute_gate.opened#2 - 0.02]}",
        "drops_ms: 0",
    ],
)
def test_it_is_met(expected: str, tmp_path: Path) -> None:
    assert misses(tmp_path, TONE, f"{MUTED}expect: [{expected}]") == []


@pytest.mark.parametrize(
    ("expected", "wanted", "was"),
    [
        ("event: tool.called", "`tool.called` happens", "no `tool.called`"),
        (
            "event: pipeline.stopping",
            "`pipeline.stopping` happens",
            "no `pipeline.stopping`; there were pipeline.started, pipeline.ended",
        ),
        (
            "{event: mute_gate.closed, where: {at_ms: 501}}",
            "`mute_gate.closed` with at_ms: 501 happens",
            "0.50 s  mute_gate.closed of mute_gate, at_ms: 500",
        ),
        ("{event: mute_gate.closed, times: 2}", "`mute_gate.closed` happens twice", "once"),
        ("{event: mute_gate.closed, times: 0}", "`mute_gate.closed` happens never", "once"),
        (
            "{event: mute_gate.closed, between: [1, 2]}",
            "`mute_gate.closed` between 1 and 2 happens",
            "0.50 s  mute_gate.closed of mute_gate",
        ),
        (
            "{event: mute_gate.closed, between: [tool.called, 2]}",
            "`tool.called` happens",
            "no `tool.called`",
        ),
        (
            "order: [mute_gate.closed, mute_gate.opened, mute_gate.closed]",
            "`mute_gate.closed` happens after `mute_gate.opened`",
            "0.00 s  mute_gate.opened of mute_gate",
        ),
        ("words: {desk: [Hello.]}", "the desk says 'Hello.'", "said nothing"),
        (
            "{sound: speaker, level_dbfs: [-10, 0]}",
            "its level is -10 to 0 dBFS",
            "-20.",
        ),
        ("{sound: speaker, lasts_s: [1.5, 2]}", "it lasts 1.5 to 2 s", "1.0"),
        ("{sound: speaker, tone_hz: 600}", "its tone has 600 Hz", "it has 500 Hz"),
        (
            "{sound: speaker, between: [0.7, 1.4]}",
            "`speaker` sounds",
            "silence; 1.0",
        ),
        ("{silence: speaker, between: [0, 0.4]}", "nothing is heard of `speaker`", "0.40 s of"),
        ("latency_ms: 100", "somebody waits for an answer", "no turn was measured"),
        ("file: out.wav", "out.wav is written", "there is nothing"),
        ("fails: no audio", "the pipeline fails: 'no audio'", "it ended well"),
    ],
)
def test_it_is_not_met(expected: str, wanted: str, was: str, tmp_path: Path) -> None:
    [(message, label)] = misses(tmp_path, TONE, f"{MUTED}expect: [{expected}]")
    assert message == wanted
    assert label.startswith(was)


FILE = """
stages: [tone: {level_dbfs: -12, duration_s: 2}, file_sink: out/a.wav]
events: [jsonl: out/%Y.jsonl]
"""


@pytest.mark.parametrize(
    ("expected", "wanted", "was"),
    [
        ("{file: out/a.wav, lasts_s: [2, 2], level_dbfs: [-12.1, -11.9]}", "", ""),
        ("{file: out/*.jsonl, holds: pipeline.started}", "", ""),
        ("{file: out/a.wav, lasts_s: [3, 4]}", "it lasts 3 to 4 s", "2.00 s"),
        ("{file: out/a.wav, level_dbfs: [-3, 0]}", "its level is -3 to 0 dBFS", "-12.0 dBFS"),
        (
            "{file: out/*.jsonl, holds: farewell}",
            "'farewell' stands in 2026.jsonl",
            "it does not",
        ),
        ("{file: out/b.wav}", "out/b.wav is written", "there is 2026.jsonl, a.wav"),
        ("{file: out/2026.jsonl, lasts_s: [1, 2]}", "out/2026.jsonl is a sound file", ""),
    ],
)
def test_files_are_looked_at(expected: str, wanted: str, was: str, tmp_path: Path) -> None:
    found = misses(tmp_path, FILE, f"expect: [{expected}]")
    assert [message for message, _ in found] == [wanted] * bool(wanted)
    assert all(label.startswith(was) for _, label in found)
    assert not (tmp_path / "out").exists(), "it is written elsewhere"


def test_a_pipeline_that_fails_is_told(tmp_path: Path) -> None:
    done = "do: [{at: 1, fail: tone}]\n"
    [(message, label)] = misses(tmp_path, TONE, f"{done}expect: [drops_ms: 0]")
    assert message == "the pipeline ends well"
    assert "the test made it fail" in label
    assert misses(tmp_path, TONE, f"{done}expect: [fails: made it fail]") == []


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("{at: 5, action: mute_gate.close}", "was not done: the pipeline ended before second 5"),
        ("{at: tool.called, fail: tone}", "was not done: `tool.called` did not happen"),
        (
            "{at: mute_gate.opened#3, fail: tone}",
            "was not done: `mute_gate.opened` did not happen 3 times",
        ),
        ("{at: 1, action: mute_gate.shut}", "ActionError: "),
        ("{at: 1, action: gate.close}", "StageError: no stage `gate`"),
    ],
)
def test_a_step_that_is_not_done_is_told(step: str, why: str, tmp_path: Path) -> None:
    [(message, label)] = misses(tmp_path, TONE, f"do: [{step}]\nexpect: [drops_ms: 0]")
    assert message == "the step is done"
    assert label.startswith(why)


def test_a_golden_file_is_written_and_compared(tmp_path: Path) -> None:
    test = "expect: [{golden: goldens/tone.wav, of: speaker}]"
    [(message, label)] = misses(tmp_path, TONE, test)
    assert message == "`speaker` sounds like tone.wav"
    assert "`rtpipe test --update` writes it" in label
    assert misses(tmp_path, TONE, test, update=True) == []
    assert misses(tmp_path, TONE, test) == []
    [(_, louder)] = misses(tmp_path, TONE.replace("-20", "-19"), test)
    assert louder.startswith("the difference is 18.3 dB below it")
    loose = test.replace("speaker}", "speaker, tolerance_db: -15}")
    assert misses(tmp_path, TONE.replace("-20", "-19"), loose) == []
    [(_, shorter)] = misses(tmp_path, TONE.replace("duration_s: 2", "duration_s: 1"), test)
    assert shorter == "1.000 s, the file has 2.000 s"


def test_what_is_not_so_is_told_at_its_place(tmp_path: Path) -> None:
    [found] = outcome(tmp_path, TONE, "expect:\n  - {sound: speaker, tone_hz: 600}").found
    assert found.span is not None
    assert (found.span.line, found.span.column) == (11, 35)
    assert "tone_hz: 600" in found.source
