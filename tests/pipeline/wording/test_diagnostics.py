"""How a finding looks: on a terminal, as JSON, on GitHub."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.specimens import mistakes
from rtpipe.wording.diagnostics import (
    Diagnostic,
    Findings,
    Related,
    Remedy,
    Severity,
    Span,
    did_you_mean,
    suggest,
)
from rtpipe.wording.rendering import as_github, render, tally

SAMPLE = """\
error[E102]: `mic` has no option `rte`
 --> kiosk.yaml:3:24
  |
3 |   - mic: {device: USB, rte: 48000}
  |                        ^^^ unknown option
  |
  = help: did you mean `sample_rate`?
  = note: `rtpipe stages mic` lists its options"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the folder `plugins` here would be beside `kiosk.yaml`


def test_it_looks_as_the_language_says() -> None:
    text = "version: 1\nstages:\n  - mic: {device: USB, rte: 48000}\n  - blackhole\n"
    assert render(mistakes(text, path=Path("kiosk.yaml"))) == SAMPLE


def test_the_gutter_is_as_wide_as_the_widest_number() -> None:
    text = "version: 1\n" + "# filler\n" * 8 + "stages: [mic, blackhole]\nversion: 1\n"
    assert render(mistakes(text, path=Path("a.yaml"))) == (
        "error[E008]: the key `version` stands twice in one mapping\n"
        "  --> a.yaml:11:1\n"
        "   |\n"
        " 1 | version: 1\n"
        "   | ------- first here\n"
        "11 | version: 1\n"
        "   | ^^^^^^^ again here\n"
        "   |\n"
        "   = help: keep one `version`, or put each into an item of its own"
    )


def finding(line: int = 1, column: int = 1, length: int = 1, source: str = "x") -> Diagnostic:
    return Diagnostic("E999", "wrong", Span(Path("a.yaml"), line, column, length), source=source)


def carets(column: int, length: int, source: str) -> str:
    return render([finding(1, column, length, source)]).split("\n")[4]


def test_carets_stand_below_what_they_mean() -> None:
    assert carets(4, 2, "ab cd") == "  |    ^^"
    assert carets(3, 2, "日本語x") == "  |     ^^^"
    assert carets(3, 1, "e\u0301x") == "  |  ^"
    assert carets(2, 1, "\tx") == "  |  ^"
    assert carets(6, 1, "short") == "  |      ^"
    assert carets(99, 9, "short") == "  |      ^"


def test_a_long_line_is_cut_around_the_place() -> None:
    lines = render([finding(1, 501, 3, "a" * 500 + "xyz" + "b" * 500)]).split("\n")
    assert len(lines[3]) < 170
    start = lines[4].index("^")
    assert lines[3][start : start + 3] == "xyz"
    assert lines[3][4] == lines[3][-1] == "…"


def test_nothing_of_the_file_reaches_the_terminal_as_an_escape() -> None:
    assert "\x1b" not in render([finding(source="a\x1b[31mb\x07")])


def test_another_file_is_shown_with_its_name() -> None:
    other = Related(Span(Path("b.yaml"), 7, 2), "has it", "  mic")
    found = Diagnostic(
        "E114", "both", Span(Path("a.yaml"), 3, 1), "wants it", source="mic", related=(other,)
    )
    assert render([found]).split("\n")[1:] == [
        " --> a.yaml:3:1", "  |", "3 | mic", "  | ^ wants it", " ::: b.yaml:7", "  |",
        "7 |   mic", "  |  - has it", "  |",
    ]  # fmt: skip


def test_without_a_place() -> None:
    found = Diagnostic("E306", "no profile `x`", help="one\ntwo", notes=("n",))
    assert render([found]) == ("error[E306]: no profile `x`\n  = help: one\n    two\n  = note: n")


def test_at_most_twenty_sorted_by_place() -> None:
    found = [finding(line) for line in range(25, 0, -1)]
    text = render(found)
    assert text.count("error[E999]") == 20
    assert text.index("a.yaml:2:1") < text.index("a.yaml:10:1")
    assert text.endswith("\n\n… and 5 more")
    assert "more" not in render(found[:20])


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b[1;31merror[E999]" in render([finding()], colour=True)
    assert "\x1b" not in render([finding()])


def test_tally() -> None:
    warning = Diagnostic("E208", "odd", severity=Severity.WARNING)
    assert tally([finding(), warning, finding(2)]) == "2 errors, 1 warning"
    assert tally([]) == "no problems"


def test_as_dict() -> None:
    assert finding(3, 4, 5).as_dict() == {
        "code": "E999", "severity": "error", "message": "wrong", "path": "a.yaml", "line": 3,
        "column": 4, "length": 5, "label": "", "help": None, "fix": None, "notes": [],
        "source": "x",
        "related": [],
    }  # fmt: skip


def test_as_github_annotation() -> None:
    found = Diagnostic("E1", "50 %\nmore", Span(Path("a,b.yaml"), 3, 4, 5), help="do: it")
    assert as_github(found) == (
        "::error file=a%2Cb.yaml,line=3,col=4,endColumn=9,title=E1::50 %25%0Amore%0Ado: it"
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("rte", "sample_rate"), ("rate", "sample_rate"), ("sr", "sample_rate"),
        ("samplerate", "sample_rate"), ("sample-rate", "sample_rate"), ("devcie", "device"),
        ("Device", "device"), ("block", "block_ms"), ("zzz", None), ("", None),
    ],
)  # fmt: skip
def test_suggestions(word: str, meant: str | None) -> None:
    assert suggest(word, ["device", "sample_rate", "channel", "block_ms", "latency"]) == meant


def test_letters_that_changed_places() -> None:
    assert suggest("mci", ["mix", "mic", "mqtt"]) == "mic"


def test_a_quoted_line_hides_secrets_and_keeps_its_columns() -> None:
    findings = Findings(secrets={"sk-12345"})
    findings.add_source(Path("a.yaml"), "k: sk-12345\nx: [sk-12345, bad]\n")
    findings.error("E999", "`sk-12345` is bad", Span(Path("a.yaml"), 2, 15, 3))
    (found,) = findings.errors()
    assert found.message == "`***` is bad"
    assert found.source == "x: [********, bad]"


def test_the_same_finding_is_said_once() -> None:
    findings = Findings()
    for _ in range(2):
        findings.error("E999", "wrong", Span(Path("a.yaml"), 1, 1))
    assert len(findings.errors()) == 1


def test_a_help_that_says_what_to_write_is_a_fix() -> None:
    findings, place = Findings(), Span(Path("a.yaml"), 2, 3, 4)
    findings.error("E102", "no option", place, help=did_you_mean("pth", ["path"]))
    findings.error("E102", "no option", place, help=Remedy("write `{}` above", "- tone\n", place))
    findings.error("E102", "no option", place, help="choose")
    findings.error("E102", "no option", help=did_you_mean("pth", ["path"]))
    nowhere, first, second, third = findings.errors()
    assert (nowhere.help, third.help) == ("did you mean `path`?", "choose")
    assert (first.help, second.help) == ("did you mean `path`?", "write `- tone` above")
    assert (nowhere.fix, third.fix) == (None, None)
    assert first.fix is not None
    assert second.fix is not None
    assert first.fix.applied("a\r\n- pth_: x\nb") == "a\r\n- path: x\nb"
    assert second.fix.applied("a\n- pth_: x") == "a\n- - tone\n: x"


def test_a_fix_that_would_show_a_secret_is_none() -> None:
    findings = Findings(secrets={"sk-canary"})
    findings.error("E103", "no", Span(Path("a"), 1, 1), help=Remedy("write `{}`", '"sk-canary"'))
    (found,) = findings.errors()
    assert found.fix is None
    assert "canary" not in repr(found)
