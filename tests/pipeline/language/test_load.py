"""From a text to a pipeline: shapes of items, chains, routes, warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.specimens import HOME, KIOSK, mistakes, registry, stage, stages, understood
from rtpipe.language.graph import Graph
from rtpipe.language.loading import from_text, load
from rtpipe.language.spec import Drop, Fail
from rtpipe.link import WhenFull
from rtpipe.vocabulary import QueueSpec, Restart
from rtpipe.wording.flow import block


@pytest.fixture
def kiosk(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "desk.md").write_text("Be kind.\nSay: little, {and} slowly\n")
    file = tmp_path / "kiosk.yaml"
    file.write_text(KIOSK)
    return file


def edges(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {id: node.inputs for id, node in graph.nodes.items()}


def test_the_file_that_the_project_is_judged_by(kiosk: Path) -> None:
    loaded = load([kiosk], registry=registry(), env={})
    assert loaded.warnings == ()
    assert edges(loaded.graph) == {
        "mic": (), "gain": ("mic",), "vad": ("gain",), "mute_gate": ("vad",),
        "realtime": ("mute_gate",), "speaker": ("realtime",),
        "recorder": ("mute_gate", "realtime"),
    }  # fmt: skip
    assert loaded.graph.nodes["realtime"].outputs == ("speaker", "recorder")
    realtime = stage(loaded, "realtime").options
    assert (realtime.voice, realtime.turn_detection.silence_duration_ms) == ("marin", 500)
    assert realtime.instructions == "Be kind.\nSay: little, {and} slowly\n"
    fallback = stage(loaded, "mic").fallback
    assert (fallback.id, fallback.kind) == ("mic", "file")
    assert fallback.options.path == kiosk.parent / "audio/visitor.wav"
    assert stage(loaded, "speaker").fallback.inputs == stage(loaded, "speaker").inputs
    assert stage(loaded, "recorder").options.path == kiosk.parent / "out/%Y%m%d-%H%M%S.mka"
    log, jsonl, route = loaded.spec.routes
    assert (log.match, log.subscriber and log.subscriber.id) == (("*",), "log")
    assert jsonl.subscriber is not None
    assert jsonl.subscriber.options.model_dump() == {"path": kiosk.parent / "out/%Y%m%d.jsonl"}
    assert [(a.stage, a.name, a.args) for a in route.actions] == [("speaker", "flush", ())]


def test_what_is_printed_is_the_same_pipeline_again(kiosk: Path) -> None:
    first = load([kiosk], registry=registry(), env={"KIOSK_MIC": "USB: 1"})
    again = from_text(block(first.resolved), path=kiosk, registry=registry(), env={})
    assert again.resolved == first.resolved
    assert [s.options for s in again.spec.stages] == [s.options for s in first.spec.stages]
    assert edges(again.graph) == edges(first.graph)
    assert stage(again, "mic").options.device == "USB: 1"


def test_the_forms_of_an_item() -> None:
    loaded = understood(
        "{version: 1, stages: [tone, gain: 3, {vad: {aggressiveness: 1}}, {gain: }, blackhole]}"
    )
    assert [s.id for s in loaded.spec.stages] == ["tone", "gain", "vad", "gain2", "blackhole"]
    assert [s.options.model_dump() for s in loaded.spec.stages[1:4]] == [
        {"gain_db": 3.0, "mute": False}, {"aggressiveness": 1}, {"gain_db": 0.0, "mute": False},
    ]  # fmt: skip


def test_ids_that_are_given_and_ids_that_are_numbered_never_meet() -> None:
    loaded = understood(
        stages("  - tone\n  - gain\n  - gain\n  - vad:\n    id: gain2\n  - gain\n  - blackhole\n")
    )
    assert [s.id for s in loaded.spec.stages] == [
        "tone", "gain", "gain3", "gain2", "gain4", "blackhole",
    ]  # fmt: skip


def test_reserved_keys() -> None:
    loaded = understood(
        stages(
            "  - mic: USB\n    id: desk\n    label: The desk\n"
            "  - gain: 1\n    queue: {max_ms: 40, when_full: drop_newest}\n    on_error: drop\n"
            "  - vad:\n    queue: {}\n    on_error: restart\n"
            "  - mute_gate:\n    on_error: {restart: {backoff_s: [1, 2], tries: 3}}\n"
            "  - blackhole:\n    from: desk.out\n"
            "  - blackhole:\n    from: mute_gate\n"
        )
    )
    desk, gain, vad, gate, blackhole, _ = loaded.spec.stages
    assert (desk.id, desk.label, desk.on_error) == ("desk", "The desk", Fail())
    assert gain.queue == QueueSpec(max_ms=40.0, when_full=WhenFull.DROP_NEWEST)
    assert (gain.on_error, vad.queue) == (Drop(), QueueSpec())
    assert (vad.on_error, gate.on_error) == (
        Restart(),
        Restart(backoff_s=(1.0, 2.0), tries=3, within_s=60.0),
    )
    assert [(ref.id, ref.port) for ref in blackhole.inputs] == [("desk", "out")]


def test_a_source_begins_a_new_chain() -> None:
    loaded = understood(stages("  - tone\n  - blackhole\n  - mic\n  - gain\n  - blackhole\n"))
    assert edges(loaded.graph) == {
        "tone": (), "blackhole": ("tone",), "mic": (), "gain": ("mic",), "blackhole2": ("gain",),
    }  # fmt: skip


def test_a_disabled_transform_is_bypassed_and_a_disabled_end_removed() -> None:
    loaded = understood(
        stages(
            "  - mic\n  - gain: 3\n    enabled: false\n  - vad\n    ".rstrip() + "\n"
            "  - mute_gate:\n    enabled: ${env:GATE:-no}\n"
            "  - speaker:\n    enabled: false\n"
            "  - recorder: a.mka\n    from: [gain, mute_gate, tone]\n"
            "  - tone:\n    enabled: false\n"
        ),
        env={"GATE": "false"},
    )
    assert edges(loaded.graph) == {"mic": (), "vad": ("mic",), "recorder": ("mic", "vad")}


def test_a_disabled_peer_is_not_bypassed() -> None:
    (found,) = mistakes(stages("  - mic\n  - realtime:\n    enabled: false\n  - speaker\n"))
    assert (found.code, found.message) == ("E203", "`speaker` has no input: `realtime` is disabled")


def test_yaml_1_2_and_no_other() -> None:
    loaded = understood(
        stages(
            "  - tone\n  - realtime: {voice: no, model: 12:30:45}\n  - mic: 010\n  - blackhole\n"
        )
    )
    realtime = stage(loaded, "realtime").options
    assert (realtime.voice, realtime.model) == ("no", "12:30:45")
    assert stage(loaded, "mic").options.device == 10


def test_unions_and_nested_models() -> None:
    loaded = understood(
        stages(
            "  - tone\n  - realtime: {turn_detection: {type: semantic_vad, eagerness: low}}\n"
            "  - realtime: {turn_detection: null}\n    from: tone\n"
            "  - blackhole\n  - blackhole:\n    from: realtime\n"
        )
    )
    assert stage(loaded, "realtime").options.turn_detection.eagerness == "low"
    assert stage(loaded, "realtime2").options.turn_detection is None


def test_routes() -> None:
    loaded = understood(
        stages(
            "  - mic\n  - gain: 1\n  - vad\n  - realtime\n  - speaker\nevents:\n"
            "  - match: [vad.*, 'playback.st?rted']\n    where: {reason: end, n: 2}\n"
            "    from: vad\n"
            "    do: [speaker.flush, 'gain.set(-6, ramp_ms=5)',\n"
            '         \'realtime.say("Hi, ${name}: \\"1\\"")\']\n'
            "  - {match: response.done, jsonl: a.jsonl}\n"
            "  - jsonl: b.jsonl\n    id: all\n"
            "  - jsonl: c.jsonl\n    enabled: false\n"
            "  - log: debug\n    match: '*.failed'\n"
            "vars: {name: '\"), gain.toggle(\"'}\n"
        )
    )
    first, second, third, log = loaded.spec.routes
    assert first.match == ("vad.*", "playback.st?rted")
    assert (dict(first.where), first.source) == ({"reason": "end", "n": 2}, "vad")
    assert [(a.stage, a.name, a.args, dict(a.kwargs)) for a in first.actions] == [
        ("speaker", "flush", (), {}),
        ("gain", "set", (-6.0, 5.0), {}),
        ("realtime", "say", ('Hi, "), gain.toggle(": "1"',), {}),
    ]
    assert [r.subscriber and r.subscriber.id for r in (second, third, log)] == [
        "jsonl",
        "all",
        "log",
    ]
    assert (second.match, third.match, log.match) == (("response.done",), ("*",), ("*.failed",))


def test_an_event_of_a_stage_that_is_not_in_the_file_is_a_warning() -> None:
    loaded = understood(
        stages("  - mic\n  - blackhole\nevents:\n  - {match: vad.speech_started, log: info}\n"
               "  - {match: response.done, log: info}\n")
    )  # fmt: skip
    assert [(w.code, w.span.line if w.span else 0, w.help) for w in loaded.warnings] == [
        ("E702", 6, "`vad` would"), ("E702", 7, "`realtime` would"),
    ]  # fmt: skip


def test_what_a_fallback_publishes_happens_here() -> None:
    assert not understood(
        stages("  - mic\n  - gain\n    ".rstrip() + ":\n    fallback: {vad: 1}\n  - blackhole\n"
               "events:\n  - {match: vad.speech_started, log: info}\n")
    ).warnings  # fmt: skip


def test_an_output_that_nobody_reads_is_a_warning() -> None:
    loaded = understood(stages("  - tone\n  - gain: 3\n  - mic\n  - blackhole\n"))
    assert [(w.code, w.message) for w in loaded.warnings] == [("E208", "nobody reads `gain`")]


def test_an_action_of_a_disabled_or_replaced_stage_is_left_out_with_a_warning() -> None:
    text = stages(
        "  - tone\n  - gain: 3\n  - gain: 3\n  - speaker\nevents:\n"
        "  - {match: playback.started, do: [gain.toggle, gain2.toggle]}\n"
    )
    loaded = understood(text, sets=["gain.enabled=false", "gain2={vad: 1}"])
    left_out = [w for w in loaded.warnings if w.code == "E707"]
    assert [w.span.column if w.span else 0 for w in left_out] == [36, 49]
    assert loaded.spec.routes == ()


def test_a_name_by_default() -> None:
    assert understood(stages("  - mic\n  - blackhole\n")).spec.name == HOME.stem


def test_an_argument_becomes_what_the_action_wants() -> None:
    text = stages(
        "  - mic\n  - gain\n  - blackhole\nevents:\n  - {match: stage.*, do: 'gain.set(${v})'}\n"
    )
    route = understood(f"{text}vars: {{v: '${{env:V}}'}}\n", env={"V": "-6"}).spec.routes[0]
    assert route.actions[0].args == (-6.0,)
    (found,) = mistakes(f"{text}vars: {{v: loud}}\n")
    assert (found.code, found.label) == ("E705", "`gain_db` is a number")


def test_what_does_nothing_is_said() -> None:
    text = """
version: 1
stages:
  - tone:
    queue: {max_ms: 10}
  - blackhole
"""
    (warning,) = understood(text).warnings
    assert warning.span is not None
    assert (warning.code, warning.span.line) == ("E119", 5)
