"""Every mistake that must be caught by name: its code, its place, its help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.specimens import mistakes, registry, stages, understood
from rtpipe import ConfigError, Options, Source, hookimpl
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_expression, load
from rtpipe.language.syntax import is_yaml
from rtpipe.wording.diagnostics import Diagnostic, Severity, Span
from rtpipe.wording.rendering import render


@dataclass(frozen=True)
class Case:
    """A file with one mistake, marked by `^` under its first character."""

    name: str
    code: str
    text: str
    help: str
    length: int = 0
    """Of the caret; 0: not asserted."""


CASES = [
    Case("tab", "E007", "version: 1\nstages:\n\t- mic\n^\t\n", "`  - mic`", 1),
    Case("tab after spaces", "E007", "a:\n  - mic:\n  \tdevice: USB\n  ^", "device: USB", 1),
    Case("duplicate key", "E008", "version: 1\nversion: 1\n^^^^^^^", "version", 7),
    Case("duplicate option", "E008",
         stages("  - mic: {device: 1, device: 2}\n                     ^\n"),
         "keep one `device`", 6),
    Case("unknown kind", "E101", stages("  - mci\n    ^^^\n"), "`mic`", 3),
    Case("kind with a value", "E101", stages("  - tone\n  - gain 3\n    ^\n"), "`- gain: 3`", 6),
    Case("option as kind", "E101", stages("  - device: x\n    ^\n"), "`- mic: {device: ...}`"),
    Case(
        "unknown option",
        "E102",
        stages("  - mic: {device: USB, rte: 48000}\n                       ^^^\n"),
        "did you mean `sample_rate`?",
        3,
    ),
    Case(
        "unknown nested option",
        "E102",
        stages("  - tone\n  - realtime: {ice_servers: [{url: x, urls: y}]}\n"
               "                              ^^^\n"),
        "did you mean `urls`?",
        3,
    ),
    Case(
        "option beside its kind",
        "E105",
        stages("  - mic:\n    device: USB\n    ^^^^^^\n"),
        "`- mic: {device: USB}`",
        6,
    ),
    Case(
        "misspelt reserved key",
        "E106",
        stages("  - mic: USB\n    fallbak: {tone: null}\n    ^^^^^^^\n"),
        "`fallback`",
        7,
    ),
    Case(
        "two kinds in one item",
        "E106",
        stages("  - mic: USB\n    gain: 3\n    ^^^^\n"),
        "`- gain: 3`",
        4,
    ),
    Case(
        "reserved key under a bare kind",
        "E012",
        stages("  - mic\n    ^^^\n    fallback: {tone: null}\n"),
        "`- mic:`",
        3,
    ),
    Case(
        "option under a bare kind",
        "E012",
        stages("  - mic\n    ^^^\n    device: USB\n"),
        "`- mic: {device: USB}`",
        3,
    ),
    Case(
        "wrong type",
        "E103",
        stages("  - mic: {sample_rate: fast}\n                       ^^^^\n"),
        "`sample_rate: 8000`",
        4,
    ),
    Case("true for a number", "E103", stages("  - gain: true\n          ^^^^\n"), "gain_db", 4),
    Case("not a number", "E103", stages("  - gain: .nan\n          ^^^^\n"), "gain_db", 4),
    Case("out of range", "E103", stages("  - tone\n  - vad: 7\n         ^\n"), "aggressiveness"),
    Case("no such choice", "E103", stages("  - mute_gate: half\n               ^\n"),
         "`half_duplex`"),
    Case(
        "wrong type in a union's branch",
        "E103",
        stages("  - realtime: {turn_detection: {type: server_vad, threshold: 3}}\n"
               "                                                             ^\n"),
        "`threshold: 0`",
    ),
    Case("neither of a union", "E103",
         stages("  - mic: {device: [1]}\n                  ^\n"), "`device: text`"),
    Case("missing option", "E104", stages("  - file\n    ^^^^\n"), "`- file: {path:", 4),
    Case("list for a main option", "E112", stages("  - mic: [a, b]\n         ^\n"), "device"),
    Case("no main option", "E112", stages("  - tone: 440\n          ^\n"), "`- tone`"),
    Case("no stage at all", "E106", stages("  - 3\n    ^\n"), "`mic`"),
    Case("subscriber among stages", "E109", stages("  - log\n    ^^^\n"), "`events: [log]`", 3),
    Case("stage among events", "E109",
         stages("  - tone\nevents:\n  - gain: 3\n    ^\n"), "`stages: [gain]`"),
    Case("two stages, one id", "E108",
         stages("  - tone: null\n    id: a\n  - gain: 1\n    id: a\n        ^\n"), "`id: a2`"),
    Case("unknown variable", "E301",
         stages('  - realtime: {voice: "${vioce}"}\n                      ^\nvars: {voice: x}\n'),
         "`voice`"),
    Case("unset environment variable", "E302",
         stages("  - mic: ${env:MIC}\n         ^^^^\n"), '`"${env:MIC:-default}"`', 10),
    Case("reference that is none", "E303",
         stages("  - mic: ${env:}\n         ^\n"), "`${env:NAME}`"),
    Case("reference not closed", "E303", stages("  - mic: a${b\n         ^\n"), '"a$${b"'),
    Case("variables in a circle", "E309",
         stages('  - mic\nvars: {a: "${b}", b: "${a}"}\n          ^\n'), ""),
    Case("list in a variable", "E310", stages("  - mic\nvars: {a: [1]}\n          ^\n"), "include"),
    Case("first stage without input", "E203", stages("  - gain: 3\n    ^^^^\n"), "`- tone`", 4),
    Case("input disabled", "E203",
         stages("  - tone: null\n    enabled: false\n  - blackhole\n    ^\n  - mic\n"),
         "`from: mic`"),
    Case("two into one", "E204",
         stages("  - tone\n  - mic\n  - gain: 3\n    from: [tone, mic]\n                 ^^^\n"),
         "`- mix: {}`", 3),
    Case("loop", "E202",
         stages("  - tone\n  - gain: 1\n    from: gain2\n          ^\n  - gain: 2\n"),
         "`from: tone`"),
    Case("reads itself", "E202", stages("  - tone\n  - mix:\n    from: [tone, mix]\n"
                                        "                 ^\n"), "`from: tone`"),
    Case("unknown from", "E201",
         stages("  - mic\n  - blackhole:\n    from: mik\n          ^^^\n"), "`mic`", 3),
    Case("unknown port", "E205",
         stages("  - mic\n  - blackhole:\n    from: mic.left\n          ^\n"), "`from: mic`", 8),
    Case("source with from", "E206",
         stages("  - tone\n  - mic: USB\n    from: tone\n          ^^^^\n"), "`from`", 4),
    Case("below a sink", "E207",
         stages("  - tone\n  - speaker\n  - recorder: x.mka\n    ^\n"), "`from: tone`"),
    Case("format no converter gives", "E501",
         stages("  - tone\n  - resample: {format: s17}\n                       ^^^\n"),
         "`format: s16`", 3),
    Case("layout no converter gives", "E501",
         stages("  - tone\n  - resample: {layout: trio}\n                       ^^^^\n"),
         "`layout: stereo`", 4),
    Case("rate no converter gives", "E501",
         stages("  - tone\n  - resample: 0\n              ^\n"), "48000", 1),
    Case("unknown event", "E701",
         stages("  - tone\nevents:\n  - match: vad.speech_start\n           ^\n    log:\n"),
         "`vad.speech_started`", 16),
    Case("unknown action", "E704",
         stages("  - tone\n  - speaker\nevents:\n  - match: playback.started\n"
                "    do: speaker.flsh\n        ^\n"),
         "`speaker.flush`", 12),
    Case("action of an unknown stage", "E703",
         stages("  - tone\n  - speaker\nevents:\n  - match: playback.started\n"
                "    do: spaeker.flush\n        ^\n"),
         "`speaker`"),
    Case("wrong arguments", "E705",
         stages("  - tone\n  - gain: 3\nevents:\n  - match: playback.*\n"
                "    do: gain.set(gian_db=3)\n        ^\n"),
         "`gain_db`"),
    Case("two stages, one device", "E114",
         stages("  - mic\n  - gain: 3\n  - mic\n    ^^^\n"), "`from: mic`", 3),
    Case("two stages, one file", "E114",
         stages("  - tone\n  - file_sink: a.wav\nevents:\n  - jsonl: a.wav\n    ^^^^^\n"),
         "another file"),
    Case("reference unquoted in braces", "E009",
         stages("  - realtime: {api_key: ${env:KEY}}\n                        ^^^^^^^^^^\n"),
         '`{api_key: "${env:KEY}"}`', 10),
    Case("reference unquoted in brackets", "E009",
         "a: [${b}]\n    ^\n", '`["${b}"]`', 4),
    Case("comma unquoted", "E011",
         stages("  - mic: {device: hw:1,0}\n                  ^^^^^^\n"),
         '`{device: "hw:1,0"}`', 6),
    Case("glob unquoted", "E010",
         stages("  - tone\nevents:\n  - match: *.done\n           ^^^^^^\n    log:\n"),
         '`match: "*.done"`', 6),
    Case("star unquoted", "E010", "match: *\n       ^\n", '`match: "*"`', 1),
    Case("percent unquoted", "E010",
         stages("  - file_sink:\n      path: %Y.wav\n            ^^^^^^\n"), '`path: "%Y.wav"`', 6),
    Case("colon unquoted", "E010", "name: a: b\n      ^^^^\n", '`name: "a: b"`', 4),
    Case("unknown top-level key", "E019", "version: 1\nnmae: x\n^^^^\nstages: [mic]\n",
         "`name`", 4),
    Case("stage at the top", "E019", "version: 1\nmic: USB\n^^^\nstages: [mic]\n",
         "`stages: [mic]`"),
    Case("list as a file", "E018", "- mic\n^\n", "`stages: [tone, speaker]`"),
    Case("no version", "E020", "stages: [mic]\n^\n", "`version: 1`"),
    Case("another version", "E020", "version: 2\n         ^\nstages: [mic]\n", "`version: 1`"),
    Case("no stages", "E209", "version: 1\nstages: []\n^^^^^^\n", "`stages: [tone, speaker]`"),
    Case("queue misspelt", "E107",
         stages("  - tone\n  - gain: 1\n    queue: {max: 3}\n            ^\n"), "`max_ms`"),
    Case("queue out of choices", "E107",
         stages("  - tone\n  - gain: 1\n    queue: {when_full: drop}\n"
                "                       ^\n"), "`drop_"),
    Case("on_error out of choices", "E107",
         stages("  - tone\n  - gain: 1\n    on_error: retry\n              ^\n"), "`restart`"),
    Case("enabled no flag", "E107",
         stages("  - tone: null\n    enabled: 3\n             ^\n"), "`enabled: true`"),
    Case("fallback of another sort", "E117",
         stages("  - mic: USB\n    fallback: {speaker: x}\n               ^\n"), "tone"),
    Case("fallback with an id", "E117",
         stages("  - mic: USB\n    fallback: {tone: null, id: x}\n                           ^\n"),
         "`id`"),
    Case("output path that leaves", "E113",
         stages("  - tone\n  - file_sink: out/${name}.wav\n               ^\n"
                "vars: {name: ../../etc/x}\n"), "`path: ${path}`"),
    Case("output path with NUL", "E103",
         stages('  - tone\n  - file_sink: "a\\0b"\n               ^\n'), ""),
    Case("tag", "E014", "a: !!python/object:os.system x\n   ^\n", "tag"),
    Case("alias inside itself", "E015", "a: &b [*b]\n       ^\n", ""),
    Case("merge key", "E016", "<<: {a: 1}\n^\n", "`include`"),
    Case("two documents", "E017", "a: 1\n---\n^\nb: 1\n", ""),
    Case("route without match", "E706",
         stages("  - tone\n  - speaker\nevents:\n  - do: speaker.flush\n    ^\n"), "match"),
    Case("route to nowhere", "E706",
         stages("  - tone\nevents:\n  - match: vad.*\n    ^\n"), "log"),
]  # fmt: skip


def placed(text: str) -> tuple[str, int, int]:
    """Take the line of carets out of a text; return where its first caret pointed."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if re.fullmatch(r"\s*\^+\s*", line):
            return "\n".join(lines[:number] + lines[number + 1 :]), number, line.index("^") + 1
    raise AssertionError(f"no caret in {text!r}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_caught_by_name_at_its_place_with_a_help(case: Case) -> None:
    text, line, column = placed(case.text)
    errors = [found for found in mistakes(text) if found.severity is Severity.ERROR]
    found = next((error for error in errors if error.code == case.code), None)
    assert found is not None, render(errors)
    assert found.span is not None
    assert (found.span.line, found.span.column) == (line, column), render([found])
    assert found.source == text.split("\n")[line - 1]
    assert case.help in (found.help or ""), found.help
    if case.length:
        assert found.span.length == case.length, render([found])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_snippet_that_is_printed_is_valid_yaml(case: Case) -> None:
    text, _, _ = placed(case.text)
    for found in mistakes(text):
        for snippet in snippets(found):
            assert is_yaml(snippet), f"{found.code}: {snippet}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_mistake_is_one_error(case: Case) -> None:
    text, _, _ = placed(case.text)
    codes = [error.code for error in mistakes(text)]
    incomplete = {"E020", "E203"} - {case.code}  # the shortest files here lack more than one thing
    assert [code for code in codes if code not in incomplete] == [case.code]


def snippets(found: Diagnostic) -> list[str]:
    """Return what stands between backticks in a diagnostic's help."""
    return re.findall(r"`([^`]+)`", found.help or "")


def test_many_mistakes_are_found_at_once_in_the_order_of_the_file() -> None:
    found = mistakes(
        """
version: 1
stages:
  - mci: USB
  - gain: loud
  - mute_gate: {mode: half, tail: 3}
  - blackhole:
    from: [gian]
events:
  - match: vad.speech_begun
    do: gain.setx
nmae: x
"""
    )
    assert [(each.code, each.span.line if each.span else 0) for each in found] == [
        ("E101", 4), ("E103", 5), ("E103", 6), ("E102", 6), ("E201", 8), ("E701", 10),
        ("E704", 11), ("E019", 12),
    ]  # fmt: skip


def test_a_mistake_in_one_file_does_not_hide_those_of_another(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nversion: 1\n")
    (tmp_path / "b.yaml").write_text("stages: [\n")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "a.yaml", tmp_path / "b.yaml"], registry=registry())
    assert [each.code for each in caught.value.diagnostics] == ["E008", "E006"]


def test_both_places_of_a_duplicate_key_are_shown() -> None:
    (found,) = mistakes("version: 1\nname: a\nname: b\nstages: [mic, blackhole]\n")
    assert [(other.span.line, other.source) for other in found.related] == [(2, "name: a")]
    assert "2 | name: a\n  | ---- first here\n3 | name: b\n  | ^^^^ again here" in render([found])


def test_both_places_of_a_claim_are_shown() -> None:
    (found,) = mistakes(stages("  - mic\n  - blackhole\n  - mic\n  - blackhole\n"))
    assert found.related[0].span.line == 3


def test_a_loop_names_its_circle() -> None:
    text = stages("  - tone\n  - gain:\n    from: c\n  - vad:\n    id: b\n  - gain:\n    id: c\n")
    assert [each.message for each in mistakes(text)] == ["a loop: gain -> b -> c -> gain"]


def test_a_fallback_is_checked_like_any_stage() -> None:
    (found,) = mistakes(
        stages("  - mic\n  - speaker: x\n    fallback: {file_sink: {pth: x.wav, path: y.wav}}\n")
    )
    assert (found.code, found.help) == ("E102", "did you mean `path`?")


def test_what_a_model_says_as_a_whole_stands_at_the_kind() -> None:
    (found,) = mistakes(stages("  - tone\n  - recorder: {path: a, first_s: 3, last_s: 1}\n"))
    assert (found.code, found.span) == ("E103", Span(found.span.path, 4, 5, 8))  # type: ignore[union-attr]
    assert "first_s comes after last_s" in found.message


def test_a_disabled_stage_needs_no_environment() -> None:
    assert (
        understood(stages("  - mic\n  - gain: ${env:NO}\n    enabled: false\n  - blackhole\n"))
        .spec.stages[1]
        .id
        == "blackhole"
    )


def test_a_missing_plugin() -> None:
    for name in ("no_such_module_xyz", "plugins/nowhere.py"):
        (found,) = mistakes(f"version: 1\nplugins: [{name}]\nstages: [mic, blackhole]\n")
        assert found.code == "E401"
        assert found.span is not None
        assert (found.span.line, found.span.column, found.span.length) == (2, 11, len(name))
        assert all(is_yaml(snippet) for snippet in snippets(found))


def test_an_unreadable_include(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nstages: [mic, blackhole]\n")
    file = tmp_path / "a.yaml"
    file.write_text("include: bse.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (found,) = caught.value.diagnostics
    assert (found.code, found.span, found.help) == (
        "E307", Span(file, 1, 10, 8), "did you mean `base.yaml`?",
    )  # fmt: skip


def test_files_that_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: b.yaml\n")
    (tmp_path / "b.yaml").write_text("version: 1\ninclude: a.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "a.yaml"], registry=registry())
    assert [(d.code, d.span) for d in caught.value.diagnostics] == [
        ("E308", Span(tmp_path / "b.yaml", 2, 10, 6))
    ]


def test_a_plugin_file_that_raises_is_an_error_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import rtpipe\n\nraise ValueError('no sound')\n")
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nplugins: [bad.py]\nstages: [mic, blackhole]\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (found,) = caught.value.diagnostics
    assert found.code == "E402"
    assert found.span == Span(tmp_path / "bad.py", 3, 1)
    assert found.source == "raise ValueError('no sound')"
    assert "ValueError: no sound" in found.message
    assert found.notes == (f"named at {file}:2",)


def test_a_plugin_beside_the_file_that_raises_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("def f(:\n")
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nstages: [mic, blackhole]\n")
    (warning,) = load([file], registry=registry()).warnings
    assert (warning.code, warning.severity) == ("E402", Severity.WARNING)
    assert warning.span == Span(tmp_path / "plugins" / "bad.py", 1, 1)

    file.write_text("version: 1\nstages: [mic, tremolo, blackhole]\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (error,) = caught.value.diagnostics
    assert error.code == "E101"
    assert "`bad`" in error.notes[0]


def test_a_kind_of_two_plugins_stops_only_who_uses_it() -> None:
    class Other(Source[Options]):
        kind = "tone"

    class Second:
        @staticmethod
        @hookimpl
        def rtpipe_stages() -> list[type]:
            return [Other]

    def both() -> Registry:
        made = registry()
        made.register(Second(), "second")
        return made

    assert [
        w.code for w in understood(stages("  - mic\n  - blackhole\n"), registry=both()).warnings
    ] == ["E403"]
    (found,) = mistakes(stages("  - tone\n  - blackhole\n"), registry=both())
    assert (found.code, found.span.line if found.span else 0) == ("E403", 3)


def test_set_is_quoted_like_a_file() -> None:
    found = mistakes(
        stages("  - mic\n  - gain: 3\n  - blackhole\nvars: {voice: x}\n"),
        sets=["mic.rte=8000", "gain=[", "vars.vioce=y", "mik.device=x", "voice=y", "gain"],
    )
    assert [(each.code, each.span.line, each.span.column) for each in found if each.span] == [
        ("E102", 1, 1), ("E006", 2, 6), ("E301", 3, 1), ("E110", 4, 1), ("E110", 5, 1),
        ("E115", 6, 1),
    ]  # fmt: skip
    assert found[4].help == "did you mean `vars.voice`?"
    assert " --> --set:1:1\n  |\n1 | mic.rte=8000\n  | ^^^^^^^" in render(found)


def test_an_expression_is_quoted_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an expression has the plugins of the folder it is used in
    for expression, code, column in [
        ("tone ! gain -6 3 ! blackhole", "E116", 16),
        ("tone ! ! blackhole", "E116", 7),
        ("tone ! gian -6 ! blackhole", "E101", 8),
        ("tone ! gain gain_bd=3 ! blackhole", "E102", 13),
        ("tone ! mute_gate half ! blackhole", "E103", 18),
    ]:
        with pytest.raises(ConfigError) as caught:
            from_expression(expression, registry=registry(), env={})
        (found,) = caught.value.diagnostics
        assert found.span is not None
        assert (found.code, found.span.column, found.source) == (code, column, expression)


def test_a_reference_without_a_value_is_one_mistake_wherever_it_stands() -> None:
    found = mistakes(
        stages(
            "  - mic: {sample_rate: '${a}'}\n    enabled: ${b}\n  - gain: ${c}\n    from: ${d}\n"
            "    queue: {max_ms: '${e}'}\n    on_error: ${f}\n  - speaker\n"
            "events:\n  - {match: '${g}', do: 'gain.set(${h})'}\n"
        )
    )
    assert [each.message for each in found] == [f"no variable `{name}`" for name in "abcdefgh"]


def test_no_profile_of_that_name() -> None:
    (found,) = mistakes(stages("  - mic\n  - blackhole\nprofiles: {quiet: {}}\n"), profile="quite")
    assert (found.code, found.help) == ("E306", "did you mean `quiet`?")


def test_a_profile_that_is_not_chosen_is_checked_too() -> None:
    found = mistakes(
        stages("  - mic\n  - blackhole\nprofiles: {a: {stages: {mik: {tone: }}, evnts: []}}\n")
    )
    assert [(each.code, each.help) for each in found] == [
        ("E110", "did you mean `mic`?"), ("E019", "did you mean `events`?"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "  - realtime: {api_key: sk-canary-1234, voice: 3}\n    from: []\n",
        "  - realtime: {api_key: [sk-canary-1234], voice: 3}\n    from: []\n",
        "  - realtime: {apikey: sk-canary-1234}\n    from: []\n",
        "  - mic\n  - realtime: {session: {key: sk-canary-1234, k: .nan}}\n",
        "  - realtime:\n    api_key: sk-canary-1234\n",
        '  - tone: {voice: "${env:MY_KEY}"}\n',
        "  - mute_gate: ${env:MY_KEY}\n",
        "  - vad: ${secret}\nvars: {secret: sk-canary-1234}\n",
        "  - mute_gate: a${cred:desk}\n",
    ],
)
def test_no_diagnostic_shows_a_secret(text: str, tmp_path: Path) -> None:
    (tmp_path / "desk").write_text("sk-canary-1234\n")
    env = {"MY_KEY": "sk-canary-1234", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = mistakes(stages(text), env=env)
    assert "canary" not in render(found)
    assert "canary" not in repr(found)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    import rtpipe

    root = Path(rtpipe.__file__).parent
    source = "".join(path.read_text("utf-8") for path in root.rglob("*.py"))
    assert set(re.findall(r'"(E\d{3})"', source)) == set(pages())


@settings(deadline=None)  # the machine is shared
@example("{0`")
@given(st.text(alphabet=st.sampled_from(list("abc:{}[]-,'\"\n \t#&*!|>%@`$0.")), max_size=40))
def test_any_text_is_understood_or_refused_with_diagnostics(text: str) -> None:
    for found in (text, f"version: 1\nstages:\n  - mic\n  - {text}"):
        try:
            understood(found)
        except ConfigError as error:
            for each in error.diagnostics:
                assert each.span is None or each.span.line <= found.count("\n") + 1
                assert all(is_yaml(snippet) for snippet in snippets(each)), each.help
            render(error.diagnostics)
