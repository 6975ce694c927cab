"""Every mistake that must be caught by name: its code, its place, its help."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from helpers.specimens import mistakes, snippets, stages
from rtpipe.language.syntax import is_yaml
from rtpipe.wording.diagnostics import Severity
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
        stages("  - tone\n  - realtime: {ice_servers: [{url: x}]}\n"
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
        "from 8000 to 192000; left out, it is `sample_rate: 48000`",
        4,
    ),
    Case("true for a number", "E103", stages("  - gain: true\n          ^^^^\n"), "a number", 4),
    Case("not a number", "E103", stages("  - gain: .nan\n          ^^^^\n"), "a number", 4),
    Case("out of range", "E103", stages("  - tone\n  - vad: 7\n         ^\n"), "aggressiveness"),
    Case("no such choice", "E103", stages("  - mute_gate: half\n               ^\n"),
         "`half_duplex`"),
    Case(
        "wrong type in a union's branch",
        "E103",
        stages("  - realtime: {turn_detection: {type: server_vad, threshold: 3}}\n"
               "                                                             ^\n"),
        "a number from 0 to 1",
    ),
    Case("neither of a union", "E103",
         stages("  - mic: {device: [1]}\n                  ^\n"), "`device: 1`"),
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
