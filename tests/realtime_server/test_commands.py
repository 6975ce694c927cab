"""`serve-realtime` as a process: what it prints, how it ends."""

from __future__ import annotations

import logging
import re
import signal
import socket
import subprocess
import sys
import time
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


FLOOD = """
import logging
import resource
from rtpipe_realtime_server.commands import serve_realtime
logging.getLogger("rtpipe").setLevel(logging.INFO)
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
serve_realtime(["--port", "0", "--script", "script.yaml"])
"""


@pytest.mark.slow
def test_a_flood_of_connections_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("turns: [{}]")
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            (port,) = re.findall(r"127\.0\.0\.1:(\d+)", process.stderr.readline())
            for _ in range(2):
                assert process.stderr.readline().startswith("export ")
            ends = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(120)]
            said = process.stderr.readline()
            assert said.startswith("no file descriptor is left (")
            time.sleep(3)  # it is tried again each second, and not told again
            for end in ends:
                end.close()
            body = b"POST /v1/realtime/sessions HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
            with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as last:
                last.sendall(body)
                assert b" 400 " in last.recv(100)
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=20)
            assert (process.returncode, rest) == (0, "")
        finally:
            process.kill()


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


@pytest.mark.parametrize("how", ["argument", "file", "variable"])
def test_the_key_comes_from_the_line_a_file_or_the_environment(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-of-the-file\n")
    if how == "variable":
        monkeypatch.setenv("RTPIPE_REALTIME_API_KEY", "sk-of-the-variable")
    else:
        monkeypatch.setenv("RTPIPE_REALTIME_API_KEY", "sk-not-this-one")
    given = "sk-of-the-argument" if how == "argument" else None
    key = commands._api_key(given, path if how == "file" else None)
    assert key == f"sk-of-the-{how}"


def test_without_a_key_any_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RTPIPE_REALTIME_API_KEY", raising=False)
    assert commands._api_key(None, None) is None


@pytest.mark.parametrize("text", ["", " \n", "sk-one sk-two", "sk-one\nsk-two\n", "\xff"])
def test_what_holds_no_key_is_a_mistake_and_no_open_server(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="latin-1")
    problem = run("--api-key-file", str(path))
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--api-key", "sk-x", "--api-key-file", __file__),
        ("--api-key", ""),
        ("--allow-origin", "kiosk.example"),
        ("--allow-origin", "https://kiosk.example/page"),
    ],
)
def test_arguments_that_cannot_be_meant_are_mistakes_in_the_usage(
    arguments: tuple[str, ...],
) -> None:
    problem = run(*arguments)
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


def test_a_limit_that_is_none_is_a_mistake_in_the_configuration() -> None:
    problem = run("--limit", "sesions=3")
    assert isinstance(problem, ConfigError)
    assert problem.exit_code == 78


def test_a_missing_file_is_a_mistake_in_the_usage() -> None:
    problem = run("--rules", "nowhere.yaml")
    assert isinstance(problem, SystemExit)
    assert problem.code == 2


def test_what_is_said_of_the_command_is_what_it_says() -> None:
    (lazy,) = rtpipe_realtime_server.rtpipe_commands()
    assert lazy.name == serve_realtime.name
    said = serve_realtime.get_short_help_str(limit=200)
    assert said.rstrip(".") == lazy.summary.rstrip(".")
