"""Several files, profiles and --set: what wins, and what stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.specimens import registry, stages, understood
from rtpipe.language.loading import Loaded, from_expression, load

BASE = """
version: 1
name: base
vars: {voice: marin, level: 3}
stages:
  - mic: {device: USB, sample_rate: 16000}
    fallback: {tone: null}
    on_error: restart
    queue: {max_ms: 40}
  - gain: ${level}
  - realtime: {voice: "${voice}", session: {a: {b: 1, c: 2}, list: [1, 2]}}
  - speaker
  - recorder: a.mka
    from: [gain, realtime]
events:
  - log
profiles:
  desk:
    vars: {voice: cedar}
    stages:
      mic: {mic: {device: Desk}}
      speaker: {file_sink: {path: desk.wav}}
      recorder: {enabled: false}
    events: []
"""


def options(loaded: Loaded, id: str) -> dict[str, Any]:
    spec = next(each for each in loaded.spec.stages if each.id == id)
    return spec.options.model_dump()


def kinds(loaded: Loaded) -> list[tuple[str, str]]:
    return [(spec.id, spec.kind) for spec in loaded.spec.stages]


def inputs(loaded: Loaded, id: str) -> tuple[str, ...]:
    return loaded.graph.nodes[id].inputs


def test_a_profile_merges_options_of_the_same_kind_and_replaces_another() -> None:
    loaded = understood(BASE, profile="desk")
    assert kinds(loaded) == [
        ("mic", "mic"), ("gain", "gain"), ("realtime", "realtime"), ("speaker", "file_sink"),
    ]  # fmt: skip
    assert options(loaded, "mic") == {"device": "Desk", "sample_rate": 16000, "block_ms": 20}
    assert options(loaded, "realtime")["voice"] == "cedar"
    assert inputs(loaded, "speaker") == ("realtime",)
    assert loaded.spec.routes == ()


def test_set_wins_over_the_profile() -> None:
    loaded = understood(
        BASE, profile="desk", sets=["vars.voice=ash", "mic.device=Set", "recorder.enabled=true"]
    )
    assert options(loaded, "realtime")["voice"] == "ash"
    assert options(loaded, "mic")["device"] == "Set"
    assert inputs(loaded, "recorder") == ("gain", "realtime")


def test_maps_merge_and_lists_replace() -> None:
    loaded = understood(
        BASE, sets=["realtime.session.a.b=9", "realtime.session.list=[3]", "realtime.session.x=1"]
    )
    assert options(loaded, "realtime")["session"] == {"a": {"b": 9, "c": 2}, "list": [3], "x": 1}


@pytest.mark.parametrize(
    ("set_", "id", "expected"),
    [
        ("stages.mic.device=A", "mic", ("mic", {"device": "A", "sample_rate": 16000})),
        ("mic.device=A", "mic", ("mic", {"device": "A", "sample_rate": 16000})),
        ("mic=A", "mic", ("mic", {"device": "A", "sample_rate": 16000})),
        ("mic={device: A}", "mic", ("mic", {"device": "A", "sample_rate": 16000})),
        ("mic={mic: {device: A}}", "mic", ("mic", {"device": "A", "sample_rate": 16000})),
        ("mic={file: {path: /x.wav}}", "mic", ("file", {"path": Path("/x.wav")})),
        ("mic={file: /x.wav}", "mic", ("file", {"path": Path("/x.wav")})),
        ("mic=tone", "mic", ("tone", {})),
        ("gain=-6", "gain", ("gain", {"gain_db": -6.0})),
        ("gain.mute=true", "gain", ("gain", {"gain_db": 3.0, "mute": True})),
        ('mic.device="8"', "mic", ("mic", {"device": "8"})),
        ("mic.device=", "mic", ("mic", {"device": ""})),
        ("mic.device=a=b", "mic", ("mic", {"device": "a=b"})),
        ("stages={mic: {tone: }}", "mic", ("tone", {})),
    ],
)
def test_the_forms_of_set(set_: str, id: str, expected: tuple[str, dict[str, Any]]) -> None:
    loaded = understood(BASE, sets=[set_])
    kind, wanted = expected
    assert dict(kinds(loaded))[id] == kind
    assert wanted.items() <= options(loaded, id).items()


def test_set_of_reserved_and_top_level_keys() -> None:
    loaded = understood(
        BASE,
        sets=["speaker.from=gain", "gain.queue.max_ms=10", "name=other", "fuse=false", "events=[]"],
    )
    assert inputs(loaded, "speaker") == ("gain",)
    gain = loaded.spec.stages[1]
    assert gain.queue is not None
    assert (gain.queue.max_ms, loaded.spec.name, loaded.spec.fuse) == (10, "other", False)
    assert loaded.spec.routes == ()


def test_another_kind_keeps_the_place_and_nothing_else() -> None:
    loaded = understood(BASE, sets=["mic=tone", "recorder={file_sink: {path: /x.wav}, from: gain}"])
    mic = loaded.spec.stages[0]
    assert (mic.id, mic.kind, mic.fallback, mic.queue) == ("mic", "tone", None, None)
    assert inputs(loaded, "gain") == ("mic",)
    assert inputs(loaded, "recorder") == ("gain",)


def test_a_replaced_stage_still_reads_what_it_read_and_stays_disabled() -> None:
    text = stages(
        "  - mic\n  - gain: 1\n  - speaker:\n    from: mic\n  - blackhole:\n    from: gain\n"
        "    enabled: false\n  - blackhole:\n    from: gain\n"
    )
    loaded = understood(text, sets=["speaker={file_sink: {path: /x.wav}}", "blackhole=speaker"])
    assert inputs(loaded, "speaker") == ("mic",)
    assert "blackhole" not in loaded.graph.nodes


def test_overlay_files(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    patch, again, replace_ = (tmp_path / f"{n}.yaml" for n in ("patch", "again", "replace"))
    patch.write_text("name: patched\nstages:\n  mic: {file: in.wav}\n  gain: {gain: 5}\n")
    again.write_text("stages: {gain: {gain: {mute: true}}, speaker: {enabled: false}}\n")
    replace_.write_text("stages: [tone, blackhole]\nevents: []\nprofiles: {}\n")

    loaded = load([tmp_path / "base.yaml", patch, again], registry=registry(), env={})
    assert kinds(loaded) == [
        ("mic", "file"), ("gain", "gain"), ("realtime", "realtime"), ("recorder", "recorder"),
    ]  # fmt: skip
    assert options(loaded, "mic")["path"] == tmp_path / "in.wav"
    assert options(loaded, "gain") == {"gain_db": 5.0, "mute": True}
    assert (loaded.spec.name, loaded.spec.path) == ("patched", tmp_path / "base.yaml")

    loaded = load([tmp_path / "base.yaml", replace_], registry=registry(), env={})
    assert kinds(loaded) == [("tone", "tone"), ("blackhole", "blackhole")]


def test_what_is_included_counts_less(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.yaml").write_text(
        "include: two.yaml\nvars: {a: one, b: one}\nstages: [mic: '${a}', blackhole]\n"
    )
    (tmp_path / "parts" / "two.yaml").write_text("vars: {a: two, b: two, c: two}\nname: two\n")
    main = tmp_path / "main.yaml"
    main.write_text(
        "version: 1\ninclude: [parts/one.yaml]\nvars: {a: main}\n"
        "stages: {blackhole: {realtime: {voice: '${b}${c}'}}}\n"
    )
    loaded = load([main], registry=registry(), env={})
    assert options(loaded, "mic")["device"] == "main"
    assert options(loaded, "blackhole")["voice"] == "onetwo"
    assert loaded.spec.name == "two"


def test_the_file_two_paths_lead_to_may_be_included_twice(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text("vars: {a: x}\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("include: common.yaml\n")
    main = tmp_path / "main.yaml"
    main.write_text("version: 1\ninclude: [one.yaml, two.yaml]\nstages: [mic: '${a}', blackhole]\n")
    assert options(load([main], registry=registry(), env={}), "mic")["device"] == "x"


def expression(text: str, **choices: Any) -> Loaded:
    return from_expression(text, registry=registry(), env={}, **choices)


def test_an_expression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = expression("tone ! gain -6 ! file_sink path=out/x.wav overwrite=true")
    assert kinds(loaded) == [("tone", "tone"), ("gain", "gain"), ("file_sink", "file_sink")]
    assert options(loaded, "gain")["gain_db"] == -6
    assert options(loaded, "file_sink")["path"].absolute() == tmp_path / "out/x.wav"
    assert inputs(loaded, "file_sink") == ("gain",)


def test_an_expression_with_reserved_keys_quotes_and_structures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = expression(
        "mic 'a ! b' id=desk ! realtime voice=\"x y\" session={k: [1, 2]} from=[desk] ! blackhole",
        sets=["realtime.model=m"],
    )
    assert options(loaded, "desk")["device"] == "a ! b"
    realtime = options(loaded, "realtime")
    assert (realtime["voice"], realtime["session"], realtime["model"]) == (
        "x y",
        {"k": [1, 2]},
        "m",
    )


def test_version_is_asked_of_the_whole_only(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("stages: [mic, blackhole]\n")
    (tmp_path / "b.yaml").write_text("version: 1\n")
    assert load([tmp_path / "a.yaml", tmp_path / "b.yaml"], registry=registry(), env={})


def test_a_fallback_may_be_taken_away() -> None:
    assert understood(BASE, sets=["mic.fallback=null"]).spec.stages[0].fallback is None


def test_nothing_changes_the_file_that_was_read_first() -> None:
    same = stages("  - mic\n  - blackhole\n")
    shared = registry()
    first = understood(same, registry=shared, sets=["mic.device=x"])
    assert options(understood(same, registry=shared), "mic")["device"] == "default"
    assert options(first, "mic")["device"] == "x"
