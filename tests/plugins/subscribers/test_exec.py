"""exec: each event is the input of a command that leaves nothing behind."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.subscribers.deliveries import STARTED
from rtpipe import EnvironmentProblem, Event
from rtpipe.testing import Bench, check_stage, run_stage, run_virtual
from rtpipe_plugins.subscribers.exec import Exec, ExecOptions


def script(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "command.py"
    file.write_text(text, encoding="utf-8")
    return [sys.executable, str(file)]


@pytest.mark.slow
async def test_exec_gives_the_event_as_json_without_a_shell(tmp_path: Path) -> None:
    command = script(tmp_path, "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())")
    out = tmp_path / "a $(name) with; signs"
    run = await run_stage(Exec, {"command": [*command, str(out)]}, events=[STARTED])
    assert json.loads(out.read_text(encoding="utf-8")) == STARTED.as_dict()
    assert run.events == []


@pytest.mark.slow
async def test_exec_splits_a_text_as_a_shell_would(tmp_path: Path) -> None:
    command = script(tmp_path, "import sys; open(sys.argv[1], 'w').write(sys.argv[2])")
    out = tmp_path / "out"
    text = f"'{command[0]}' '{command[1]}' {out} 'two words'"
    await run_stage(Exec, {"command": text}, events=[STARTED])
    assert out.read_text(encoding="utf-8") == "two words"


@pytest.mark.slow
async def test_exec_says_how_a_command_failed(tmp_path: Path) -> None:
    command = script(tmp_path, "import sys; sys.stderr.write('x' * 9000 + 'no bulb'); sys.exit(3)")
    run = await run_stage(Exec, {"command": command}, events=[STARTED])
    (failed,) = run.events
    assert failed.as_dict()["reason"] == "ended with exit status 3"
    assert failed.as_dict()["stderr"].endswith("no bulb")
    assert len(failed.as_dict()["stderr"]) <= 2000


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


CHILDREN = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_exec_kills_a_command_that_takes_too_long_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = [*script(tmp_path, CHILDREN), str(pid_file)]
    bench = Bench(Exec, {"command": command, "timeout_s": 4.0})
    async with bench.opened():
        await bench.play([STARTED])
        await until(lambda: bool(bench.run.events))
    assert bench.run.events[0].as_dict()["reason"] == "took longer than 4 s"
    pid = int(pid_file.read_text(encoding="ascii"))
    await until(lambda: not alive(pid))


@pytest.mark.slow
async def test_exec_leaves_nothing_running_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe_plugins.subscribers.exec._GRACE_S", 0.1)
    pid_file = tmp_path / "pid"
    bench = Bench(Exec, {"command": [*script(tmp_path, CHILDREN), str(pid_file)]})
    async with bench.opened():
        await bench.play([STARTED])
        await until(lambda: pid_file.exists() and pid_file.read_text(encoding="ascii") != "")
    pid = int(pid_file.read_text(encoding="ascii"))
    await until(lambda: not alive(pid))


@pytest.mark.slow
async def test_exec_runs_no_more_at_once_than_it_may(tmp_path: Path) -> None:
    text = """
import os, sys, time
os.mkdir(sys.argv[1] + "/" + str(os.getpid()))
running = len([name for name in os.listdir(sys.argv[1])])
time.sleep(0.2)
os.rmdir(sys.argv[1] + "/" + str(os.getpid()))
sys.exit(running > 2)
"""
    folder = tmp_path / "running"
    folder.mkdir()
    command = [*script(tmp_path, text), str(folder)]
    run = await run_stage(Exec, {"command": command, "concurrency": 2}, events=[STARTED] * 6)
    assert run.events == []


@pytest.mark.slow
def test_exec_keeps_the_contract() -> None:
    check_stage(Exec, {"command": "true"}, real_time=True)


async def test_exec_does_not_run_for_the_failure_of_another() -> None:
    run = await run_stage(Exec, {"command": "false"}, events=[Event(type="exec.failed")])
    assert run.events == []


def test_exec_knows_before_it_starts_that_a_command_is_missing() -> None:
    with pytest.raises(EnvironmentProblem, match="no command 'light-the-lamp'"):
        run_virtual(run_stage(Exec, {"command": "light-the-lamp --blue"}))


@pytest.mark.parametrize("command", ["", "   ", [], ["", "x"], "unclosed 'quote"])
def test_exec_refuses_an_empty_command(command: Any) -> None:
    with pytest.raises(ValidationError):
        ExecOptions(command=command)
