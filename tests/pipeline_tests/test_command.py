"""`rtpipe test`, as it is typed: what it finds, prints, writes, and exits with."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtpipe.cli import cli

GOOD = """
version: 1
stages: [tone: {frequency: 440, duration_s: 1, realtime: true}, speaker]
tests:
  - {name: It is an A, expect: [{sound: speaker, tone_hz: 440}]}
  - {name: It is short, expect: [{sound: speaker, lasts_s: [0.9, 1]}]}
"""
BAD = GOOD.replace("frequency: 440", "frequency: 330")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "untested.yaml").write_text("version: 1\nstages: [tone, speaker]\n")
    (tmp_path / "notes.txt").write_text("tests:\n")
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    ran = CliRunner().invoke(cli, ["test", *arguments])
    assert ran.exit_code == code, ran.output
    return ran


def test_a_folder_is_this_one_and_files_without_tests_are_passed_over(folder: Path) -> None:
    for arguments in ((), (".",), (str(folder),), ("good.yaml",)):
        ran = run(*arguments)
        assert "  ok    It is an A\n  ok    It is short\n" in ran.stdout
        assert ran.stdout.splitlines()[-1].startswith("2 passed: 2.0 s of audio in ")
        assert "untested" not in ran.output
        assert not ran.stderr


def test_a_failure_is_told_at_its_place_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    ran = run(code=1)
    assert "bad.yaml\n  FAIL  It is an A\n" in ran.stdout
    assert "error[E801]: expected that its tone has 440 Hz\n --> bad.yaml:5:59\n" in ran.stdout
    assert "it has 330 Hz" in ran.stdout
    assert "\n3 passed, 1 failed: " in ran.stdout
    assert run("-k", "SHORT").stdout.count("  ok  ") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-k", "nobody"], 2, "no test with 'nobody' in its name in this folder"),
        (["untested.yaml"], 2, "no test in untested.yaml"),
        (["none.yaml"], 2, "there is no none.yaml"),
        (["wrong.yaml"], 78, "E102"),
    ],
)
def test_where_there_is_nothing_to_run_it_says_so(
    arguments: list[str], code: int, said: str, folder: Path
) -> None:
    if "wrong.yaml" in arguments:
        (folder / "wrong.yaml").write_text(GOOD.replace("frequency", "frequncy"))
    ran = CliRunner().invoke(cli, ["test", *arguments])
    assert ran.exit_code == code
    assert said in ran.output


def test_reports_for_programs(folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    told = json.loads(run("--json", "--junit", "out/report.xml", code=1).stdout)
    assert told["passed"] is False
    assert [test["passed"] for test in told["tests"]] == [False, True, True, True]
    assert told["tests"][0]["diagnostics"][0]["line"] == 5
    suites = ET.parse(folder / "out" / "report.xml").getroot()
    assert [(each.get("name"), each.get("failures")) for each in suites] == [
        ("bad.yaml", "1"),
        ("good.yaml", "0"),
    ]
    [failure] = suites.iter("failure")
    assert failure.get("message") == "expected that its tone has 440 Hz"
    annotation, last = run("--format", "github", code=1).stdout.splitlines()
    assert annotation.startswith("::error file=bad.yaml,line=5,col=59,")
    assert "It is an A: expected that its tone has 440 Hz" in annotation
    assert last.startswith("3 passed, 1 failed")


def test_what_is_written_is_kept_if_that_is_asked_for(folder: Path) -> None:
    (folder / "good.yaml").write_text(
        "version: 1\nstages: [tone: {duration_s: 1}, file_sink: out/a.wav]\n"
        "tests: [{name: so, expect: [file: out/a.wav]}]\n"
    )
    run()
    assert not list(folder.rglob("*.wav"))
    for _ in range(2):
        run("--keep", "kept")
        assert [str(path.relative_to(folder)) for path in folder.rglob("*.wav")] == [
            "kept/good/1/out/a.wav"
        ]


def test_values_may_be_set(folder: Path) -> None:
    run("good.yaml", "--set", "tone.frequency=330", code=1)


@pytest.mark.slow
def test_in_several_processes_all_is_told_in_the_same_order(folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    one, two = (run("-j", jobs, code=1).stdout.splitlines() for jobs in "12")
    assert one[:-1] == two[:-1]
