"""What stands in the place of what is outside, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline_tests.running import misses, outcome, refused
from rtpipe import ConfigError
from rtpipe.catalogue.plugins import Registry
from rtpipe.documents import read_section
from rtpipe_test.moments import Moment

TALK = """
stages:
  - mic
  - realtime
  - speaker
events:
  - webhook: {url: "http://127.0.0.1:9/"}
  - exec: {command: [touch, written-by-a-test]}
  - jsonl: out/all.jsonl
"""
PLAYED = "play: {mic: [0.4, audio/visitor.wav, 2]}\n"
ANSWERED = "answers: [{transcribe: Where is it?, say: Here.}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    audio = Path(__file__).parents[2] / "pipelines" / "audio"
    (tmp_path / "audio").symlink_to(audio)
    return tmp_path


def test_a_call_needs_nothing_from_outside_and_leaves_nothing_there(folder: Path) -> None:
    test = f"{PLAYED}{ANSWERED}expect:\n  - words: {{visitor: [Where is it?, Where is it?]}}"
    test += "\n  - {sound: speaker, tone_hz: 500}\n  - {file: out/all.jsonl, holds: Here.}"
    assert misses(folder, TALK, test) == []
    assert sorted(path.name for path in folder.iterdir()) == ["audio", "pipeline.yaml"]


@pytest.mark.slow
def test_a_script_may_be_a_file_and_its_sounds_stand_beside_the_pipeline(folder: Path) -> None:
    (folder / "script.yaml").write_text("turns: [{transcribe: Where is it?, say: Here.}]")
    test = f"{PLAYED}answers: script.yaml\nexpect: [words: {{desk: [Here., Here.]}}]"
    assert misses(folder, TALK, test) == []
    sound = "answers: [{say: Here., sound: {wav: audio/visitor.wav}}]\n"
    test = f"{PLAYED}{sound}expect: [{{sound: realtime, lasts_s: [1, 20]}}]"
    assert misses(folder, TALK, test) == []


def test_a_server_that_misbehaves(folder: Path) -> None:
    test = f"{PLAYED}{ANSWERED}faults: {{hang_up_s: 3}}\nexpect: [event: realtime.reconnecting]"
    assert misses(folder, TALK, test) == []


def test_stages_variables_events_and_profiles_are_changed_as_by_a_profile(folder: Path) -> None:
    pipeline = """
vars: {loud: -20}
stages: [mic, gain: "${loud}", speaker]
events: [jsonl: a.jsonl]
profiles: {soft: {stages: {gain: {gain: -50}}}}
"""
    swapped = "stages: {mic: {tone: {level_dbfs: -4, duration_s: 1}}}\n"
    for more, level in (("", -20), ("vars: {loud: -10}\n", -10), ("profile: soft\n", -50)):
        bounds = f"[{level - 4.5}, {level - 3.5}]"
        test = f"{swapped}{more}expect: [{{sound: gain, level_dbfs: {bounds}}}]"
        assert misses(folder, pipeline, test) == [], more
    test = f"{swapped}events: [jsonl: b.jsonl]\nexpect: [file: b.jsonl]"
    assert misses(folder, pipeline, test) == []


@pytest.mark.parametrize(
    ("test", "message", "help"),
    [
        ("expect: [drops_ms: 0]", "nobody answers for `realtime`", "answers: ["),
        (
            f"{ANSWERED}expect: [drops_ms: 0]",
            "`mic` needs what is outside: a test has no mic",
            "play: {mic: [",
        ),
        (f"play: {{mic: [no.wav]}}\n{ANSWERED}expect: [drops_ms: 0]", "`play` cannot be made", ""),
        (
            f"{PLAYED}{ANSWERED}do: [{{at: 1, fail: gate}}]\nexpect: [drops_ms: 0]",
            "there is no stage `gate`",
            "",
        ),
    ],
)
def test_what_a_test_cannot_do_without_is_named(
    test: str, message: str, help: str, folder: Path
) -> None:
    [found] = outcome(folder, TALK, test).found
    assert found.code == "E802"
    assert found.message.startswith(message)
    assert help in (found.help or "")
    assert found.span is not None
    assert found.span.line >= 12


def test_a_stage_that_is_listened_to_is_there(folder: Path) -> None:
    [found] = outcome(
        folder, "stages: [tone: {duration_s: 1}, blackhole]", "expect: [sound: x]"
    ).found
    assert (found.code, found.message) == ("E802", "there is no stage `x`")
    assert found.help == "there are blackhole, tone"


def test_what_is_played_is_played_by_a_stage_that_is_there(folder: Path) -> None:
    [found] = outcome(folder, TALK, "play: {mci: [1]}\nexpect: [drops_ms: 0]").found
    assert (found.code, found.message) == ("E802", "there is no stage `mci`")
    assert found.span is not None
    assert "mci" in found.source


def test_one_of_several_stages_fails_once_and_is_restarted(folder: Path) -> None:
    pipeline = "stages: [tone: {duration_s: 3, realtime: true}, gain: 0, speaker]"
    for stage in ("tone", "gain", "speaker"):
        test = f"do: [{{at: 1, fail: {stage}}}]\nexpect: [fails: the test made it fail]"
        assert misses(folder, pipeline, test) == [], stage
    pipeline = """
stages:
  - tone: {duration_s: 3, realtime: true}
  - gain: 0
    on_error: drop
  - speaker
"""
    test = "do: [{at: 1, fail: gain}]\nexpect:\n  - {event: stage.failed, times: 1}\n"
    assert misses(folder, pipeline, f"{test}  - {{sound: speaker, lasts_s: [2.9, 3]}}") == []


def test_every_kind_that_claims_a_device_or_a_port_says_that_it_is_external() -> None:
    kinds = Registry.discover().kinds
    external = {kind for kind in kinds if kinds[kind].external}
    assert external >= {"mic", "rtsp", "url", "process", "speaker", "process_sink", "stream"}
    assert external >= {"realtime", "exec", "webhook", "mqtt", "key", "lines"}
    assert not external & {"file", "tone", "file_sink", "recorder", "jsonl", "blackhole", "log"}


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("name: x\nexpect: []", "cannot be []"),
        ("expect: [drops_ms: 0]", "name"),
        ("name: x\nexpect: [{sound: tone, silence: tone}]", "is about one thing of"),
        ("name: x\nexpect: [{sound: tone, times: 1}]", "`times` says nothing about `sound`"),
        ("name: x\nexpect: [{golden: a.wav}]", "needs `of`"),
        ("name: x\nexpect: [{sound: tone, between: [2, 1]}]", "ends before it begins"),
        ("name: x\nexpect: [{sound: tone, lasts_s: [2, 1]}]", "the least comes first: [1, 2]"),
        ("name: x\nexpect: [{evnt: x}]", "did you mean `event`?"),
        ("name: x\ndo: [{at: 1}]\nexpect: [drops_ms: 0]", "does one thing"),
        ("name: x\ndo: [{at: a b, fail: tone}]\nexpect: [drops_ms: 0]", "is no moment"),
        ("name: x\ndo: [{at: 1, action: close}]\nexpect: [drops_ms: 0]", "action"),
        ("name: x\ndo: [{at: 1, publish: {}}]\nexpect: [drops_ms: 0]", "needs the event's `type`"),
        ("name: x\nplay: {tone: [-1]}\nexpect: [drops_ms: 0]", "play"),
        ("name: x\nexpect: [{event: tol.called}]", "tol.called"),
    ],
)
def test_a_test_that_is_none_is_refused_at_its_place(test: str, message: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as error:
        refused(folder, test)
    found = error.value.diagnostics[0]
    assert message in json.dumps([found.message, found.help, found.label])
    assert found.span is not None
    assert found.span.line >= 4


def test_two_tests_have_two_names(folder: Path) -> None:
    test = "{name: x, expect: [drops_ms: 0]}"
    (folder / "twice.yaml").write_text(
        f"version: 1\nstages: [tone, blackhole]\ntests: [{test}, {test}]\n"
    )
    with pytest.raises(ConfigError, match="two tests are called 'x'"):
        read_section([folder / "twice.yaml"], "tests")


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        (1.5, Moment("", 1, 1.5)),
        ("transcript.user", Moment("transcript.user", 1, 0)),
        ("turn.*#2 - 0.25", Moment("turn.*", 2, -0.25)),
        ("a.b+1", Moment("a.b", 1, 1)),
    ],
)
def test_moments(said: float | str, moment: Moment) -> None:
    assert Moment.read(said) == moment


@pytest.mark.parametrize("said", ["", "1 s", "a#0", "a + b", "a ++ 1"])
def test_no_moments(said: str) -> None:
    with pytest.raises(ValueError, match="is no moment"):
        Moment.read(said)
