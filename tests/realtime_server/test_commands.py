"""`serve-realtime` as a process: what it prints, how it ends."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import rtpipe_realtime_server
from helpers.listening import require_speech
from rtpipe import ConfigError, RtpipeError
from rtpipe_realtime_server import commands
from rtpipe_realtime_server.commands import serve_realtime

COMMAND = """
import click
from rtpipe_realtime_server.commands import serve_realtime
cli = click.Group()
cli.add_command(serve_realtime)
cli(["serve-realtime", "--port", "0", "--api-key", "sk-private", "--fault", "lose_every",
     "--seed", "7"])
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_ends_when_asked(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or "Faults" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    said = "".join(lines)
    (url,) = re.findall(
        r"^export OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)$", said, re.MULTILINE
    )
    assert f"Listening at {url}" in said
    assert "sk-private" not in said
    assert "Faults: lose_every=50 (--seed 7)" in said
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


STUCK = """
import asyncio
from rtpipe_realtime_server.server import RealtimeServer
async def close(self):
    print("closing", flush=True)
    await asyncio.sleep(600)
RealtimeServer.close = close
"""


@pytest.mark.slow
def test_who_asks_twice_does_not_wait_for_the_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK + COMMAND],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            while "Faults" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "closing\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()


def run(*arguments: str) -> BaseException | None:
    cli = click.Group()
    cli.add_command(serve_realtime)
    result = CliRunner().invoke(cli, ["serve-realtime", *arguments])
    return result.exception


def test_bad_rules_are_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    rules = tmp_path / "desk.yaml"
    rules.write_text("answers: [")
    problem = run("--rules", str(rules))
    assert isinstance(problem, RtpipeError)
    assert problem.exit_code == 78
    assert "desk.yaml:1: " in str(problem)


def test_a_folder_without_a_model_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    require_speech()
    problem = run("--port", "0", "--model-path", str(tmp_path))
    assert isinstance(problem, RtpipeError)
    assert problem.exit_code == 78


@pytest.mark.parametrize("port", ["65536", "-1"])
def test_a_port_that_is_none_is_a_mistake_in_the_usage(port: str) -> None:
    problem = run("--port", port)
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


@pytest.mark.parametrize(("level", "notes"), [(logging.INFO, 1), (logging.WARNING, 0)])
def test_what_happens_is_told_unless_less_is_wanted(
    level: int, notes: int, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, "rtpipe")
    commands._note("call rtc_1 is open")
    assert capsys.readouterr().err.count("call rtc_1 is open") == notes


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("turns: [{sya: Hello}]", (), "`turns.0` of `script` has no option `sya`"),
        ("turns: [{}]", ("--fault", "http_492"), "`fault` has no option `http_492`"),
    ],
)
def test_a_mistake_in_the_script_or_a_fault_is_one_in_the_configuration(
    tmp_path: Path, text: str, arguments: tuple[str, ...], said: str
) -> None:
    script = tmp_path / "dialog.yaml"
    script.write_text(text)
    problem = run("--script", str(script), *arguments)
    assert isinstance(problem, ConfigError)
    assert problem.exit_code == 78
    assert problem.diagnostics[0].message == said


def test_a_script_and_rules_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text("turns: [{}]")
    problem = run("--script", str(path), "--rules", str(path))
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


def test_a_missing_file_is_a_mistake_in_the_usage() -> None:
    problem = run("--rules", "nowhere.yaml")
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


def test_what_is_said_of_the_command_is_what_it_says() -> None:
    (lazy,) = rtpipe_realtime_server.rtpipe_commands()
    assert lazy.name == serve_realtime.name
    said = serve_realtime.get_short_help_str(limit=200)
    assert said.rstrip(".") == lazy.summary.rstrip(".")
