"""`rtpipe ctl`: what it lists, does, refuses, and ends with; against another process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.command import Running, rtpipe, running
from helpers.terminal import shown
from rtpipe import ExitCode

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toner")]


@pytest.mark.parametrize(
    "words",
    [["gain.set", "-6"], ["gain.set", "gain_db=-6"], ["gain.set(-6)"], ["gain.set( -6.0 )"]],
)
def test_an_action_is_called_as_a_file_would(words: list[str], tmp_path: Path) -> None:
    done = rtpipe("ctl", "toner", *words, cwd=tmp_path)
    assert (done.code, done.out, done.err) == (ExitCode.OK, "", "")


def test_a_person_at_a_terminal_is_told_that_it_was_done(tmp_path: Path) -> None:
    done = shown("ctl", "toner", "gain.set", "-6", columns=80, cwd=tmp_path)
    assert (done.code, done.lines) == (ExitCode.OK, ["gain.set: done"])


def test_a_result_is_printed_on_stdout(tmp_path: Path) -> None:
    done = rtpipe("ctl", "toner", "gain.flush", cwd=tmp_path)
    assert done.code == ExitCode.OK
    assert float(done.out) >= 0
    whole = rtpipe("ctl", "toner", "gain.mute", "--json", cwd=tmp_path)
    assert json.loads(whole.out) == {"result": None, "event": None, "outcome": []}


@pytest.mark.parametrize(
    ("words", "code", "error", "help"),
    [
        (["gain.set", "x"], ExitCode.USAGE, "`gain_db` of `gain.set` cannot be x", "gain.set("),
        (["gain.set"], ExitCode.USAGE, "missing a required argument", "gain.set("),
        (["gain.set", "gain=3"], ExitCode.USAGE, "cannot be called so", "did you mean `gain_db`?"),
        (["gain.set", "gain_db=1", "2"], ExitCode.USAGE, "has no name", "for example"),
        (["gain.set", "[1"], ExitCode.USAGE, "this bracket is never closed", "[1]"),
        (["gain.set(1)", "2"], ExitCode.USAGE, "not both", "for example"),
        (["gain.gone"], ExitCode.USAGE, "`gain` has no action `gone`", "`gain.set`"),
        (["gone.set"], ExitCode.USAGE, "there is no stage `gone`", "`gain`"),
        (["gain"], ExitCode.USAGE, "`gain` is no action", "for example"),
        (["stop", "now"], ExitCode.USAGE, "`stop` takes no arguments", ""),
    ],
)
def test_a_wrong_call_is_wrong_usage_and_says_what_is_right(
    words: list[str], code: ExitCode, error: str, help: str, tmp_path: Path
) -> None:
    done = rtpipe("ctl", "toner", *words, cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    assert error in done.err
    assert help in done.err


@pytest.mark.usefixtures("moody")
def test_what_the_stage_itself_refuses_ends_with_one(tmp_path: Path) -> None:
    refused = rtpipe("ctl", "moody", "moody.never", cwd=tmp_path)
    assert (refused.code, refused.out) == (ExitCode.FAILED, "")
    assert refused.err == "error: I do not \\u001b[31mwant to\n  = help: ask tomorrow\n"
    broken = rtpipe("ctl", "moody", "moody.breaks", cwd=tmp_path)
    assert broken.code == ExitCode.FAILED
    assert "moody.breaks failed: ValueError: oh" in broken.err
    later = rtpipe("ctl", "moody", "moody.later", cwd=tmp_path)
    assert (later.code, later.out) == (ExitCode.FAILED, "")
    assert later.err == "not \\u001b[31mtoday\n"


def test_a_name_alone_lists_what_can_be_done_and_why_not(tmp_path: Path) -> None:
    rtpipe("ctl", "toner", "gain.unmute", cwd=tmp_path)
    done = rtpipe("ctl", "toner", cwd=tmp_path, env={"COLUMNS": "80"})
    assert done.code == ExitCode.OK
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("toner, running for 0:")
    assert "  gain.set GAIN_DB  Change the gain (dB)." in lines
    assert (
        "  gain.unmute       Not now: it is not muted. Fade back to the gain that is set." in lines
    )
    assert any(line.startswith("  link ") for line in lines)
    listed = json.loads(rtpipe("ctl", "toner", "--json", cwd=tmp_path).out)
    assert {each["call"]: each["why_not"] for each in listed}["gain.unmute"] == "it is not muted"


def test_without_a_name_it_says_what_runs(tmp_path: Path) -> None:
    assert "toner" in rtpipe("ctl", cwd=tmp_path).out.splitlines()
    assert "toner" in json.loads(rtpipe("ctl", "--json", cwd=tmp_path).out)


@pytest.mark.parametrize("command", [["ctl"], ["ctl", "gain.set", "1"], ["events"], ["tap", "x"]])
def test_a_run_that_is_not_there_is_told_with_those_that_are(
    command: list[str], tmp_path: Path
) -> None:
    name, *rest = command
    done = rtpipe(name, "gone/../run", *rest, *(["-o", "a.wav"] * (name == "tap")), cwd=tmp_path)
    assert done.code == ExitCode.UNAVAILABLE
    assert "no pipeline `gone/../run` runs here" in done.err
    assert "toner" in done.err
    assert not (tmp_path / "a.wav").exists()


def test_a_link_needs_a_page(a_run: Running, tmp_path: Path) -> None:
    page = rtpipe("ctl", "short", "link", cwd=tmp_path)
    assert page.code == ExitCode.OK
    assert page.out.startswith("http://127.0.0.1:")  # no token is needed there
    (tmp_path / "without.yaml").write_text(
        "version: 1\nname: short\nstages: [tone: {realtime: true}, blackhole]\n"
    )
    with running("run", "without.yaml", cwd=tmp_path) as second:
        second.wait_for("`rtpipe ctl short-2` steers this run")
        none = rtpipe("ctl", "short-2", "link", cwd=tmp_path)
        assert none.code == ExitCode.FAILED
        assert "this run has no page" in none.err
        assert "--control" in none.err


def test_a_link_has_a_word_where_a_token_is_needed(tmp_path: Path) -> None:
    (tmp_path / "guarded.yaml").write_text(
        "version: 1\nname: guarded\ncontrol: {listen: '127.0.0.1:0', token: 0123456789abcdef0123}\n"
        "stages: [tone: {realtime: true}, blackhole]\n"
    )
    with running("run", "guarded.yaml", cwd=tmp_path) as run:
        run.wait_for("steers this run")
        links = [rtpipe("ctl", "guarded", "link", cwd=tmp_path).out for _ in range(2)]
    assert links[0] != links[1]
    assert all("0123456789abcdef" not in link for link in links)
    assert all(link.startswith("http://127.0.0.1:") for link in links)


def test_stop_ends_the_run(a_run: Running, tmp_path: Path) -> None:
    done = rtpipe("ctl", "short", "stop", cwd=tmp_path)
    assert (done.code, done.out) == (ExitCode.OK, "stopping\n")
    assert a_run.wait() == ExitCode.OK
