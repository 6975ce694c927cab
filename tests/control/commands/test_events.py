"""`rtpipe events NAME`: followed in a process of its own, beside `rtpipe events`, which is ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.command import Running, environment, rtpipe
from rtpipe import ExitCode
from rtpipe_control.client import Client

pytestmark = pytest.mark.slow


@contextmanager
def following(*args: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Follow events, from when the command has said what it follows."""
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", "events", *args],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            assert f"{args[0]}, running for " in process.stderr.readline()
            yield process
        finally:
            process.kill()


def act(run: str, stage: str, action: str, *args: object) -> None:
    Client.of(run).act(stage, action, list(args), {})


@pytest.mark.usefixtures("moody")
def test_what_a_terminal_would_tell_is_told_as_it_happens(tmp_path: Path) -> None:
    with following("moody", cwd=tmp_path) as process:
        act("moody", "moody", "flush")  # told of at -v alone
        act("moody", "moody", "later")
        assert process.stdout is not None
        stamp, who, text = process.stdout.readline().split(maxsplit=2)
        assert len(stamp) == len("00:00.0")
        assert (who, text) == ("moody", "not \\u001b[31mtoday\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (ExitCode.OK, "", "")


@pytest.mark.usefixtures("toner")
def test_globs_choose_and_json_is_one_object_on_a_line(tmp_path: Path) -> None:
    with following("toner", "gone.*", "control.*", "--json", cwd=tmp_path) as process:
        act("toner", "gain", "set", -3)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["type"], told["action"]) == ("control.used", "gain.set")
        assert told["line"] == "gain.set from outside"


def test_it_ends_with_the_run(a_run: Running, tmp_path: Path) -> None:
    with following("short", "pipeline.*", cwd=tmp_path) as process:
        a_run.signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.OK
        assert "pipeline  ended: SIGINT" in out.splitlines()[-1]
        assert err == "`short` has ended\n"


def test_a_run_that_is_killed_is_told(a_run: Running, tmp_path: Path) -> None:
    with following("short", cwd=tmp_path) as process:
        a_run.process.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.UNAVAILABLE
        assert err == "error: `short` has ended\n"


@pytest.mark.usefixtures("moody")
def test_who_reads_too_slowly_is_told_what_was_missed(tmp_path: Path) -> None:
    with following("moody", "moody.*", cwd=tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        act("moody", "moody", "chatter", 4000)
        process.send_signal(signal.SIGCONT)
        assert process.stderr is not None
        for _ in range(500):
            process.stdout.readline()  # type: ignore[union-attr]
        assert process.stderr.readline().startswith("missed 3")


@pytest.mark.usefixtures("moody")
def test_a_reader_that_goes_ends_it_before_the_next_event(tmp_path: Path) -> None:
    with following("moody", cwd=tmp_path) as process:
        assert process.stdout is not None
        act("moody", "moody", "later")
        process.stdout.readline()
        process.stdout.close()  # as `head -1` does
        assert process.wait(60) == ExitCode.FAILED
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.usefixtures("toner")
def test_without_an_argument_it_is_the_list_of_types(tmp_path: Path) -> None:
    types = {each["type"] for each in json.loads(rtpipe("events", "--json", cwd=tmp_path).out)}
    assert "mute_gate.closed" in types
    assert "mute_gate.closed" in rtpipe("events", cwd=tmp_path).out
    helped = rtpipe("events", "--help", cwd=tmp_path).out
    assert "--plugins-dir" in helped
    assert "With an argument: Follow" in helped
    assert "[GLOB]..." in rtpipe("events", "toner", "--help", cwd=tmp_path).out
