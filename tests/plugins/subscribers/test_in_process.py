"""log, jsonl, exec, python: what events become outside the pipeline."""

import asyncio
import errno
import json
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rtpipe import EnvironmentProblem, Event, ExitCode, PluginError, StageError
from rtpipe.events import (
    LinkDropped,
    StageFailed,
    StageFellBack,
    StageStatusChanged,
    StageUnwell,
)
from rtpipe.testing import Bench, check_stage, run_stage, run_virtual
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import server_event
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, ServerEvent, UserTranscript
from rtpipe_plugins.subscribers.exec import Exec, ExecOptions
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.log import Log
from rtpipe_plugins.subscribers.python import Python

STARTED = Event(type="vad.speech_started", source="vad", at=1.25)


# --- log


def records(caplog: pytest.LogCaptureFixture, *events: Event, level: str = "debug") -> list[str]:
    """Return what the log holds of some events: the level, and the line."""
    caplog.clear()
    run_virtual(run_stage(Log, {"level": level}, events=events))
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            UserTranscript(text="Where is\nthe café?", item_id="i"),
            "INFO visitor: Where is the café?",
        ),
        (
            AssistantTranscript(text="On the", item_id="i", response_id="r", interrupted=True),
            "INFO model: On the (interrupted)",
        ),
        (StageStatusChanged(source="mic", status="ok"), "DEBUG mic: is ok"),
        (
            StageUnwell(source="mic", status="recovering", detail="unplugged"),
            "INFO mic: is recovering: unplugged",
        ),
        (
            StageFellBack(source="mic", wanted="mic", used="file", reason="no device"),
            "WARNING mic: no device: `file` takes over",
        ),
        (
            StageFailed(source="speaker", error="speaker: gone", policy="fail"),
            "ERROR speaker: gone (on_error: fail)",
        ),
        (
            LinkDropped(source="recorder", dropped_ms=20.0, total_ms=340.0),
            "WARNING recorder: dropped 20 ms of audio, 340 ms in all",
        ),
        (
            replace(
                server_event({"type": "error", "error": {"message": "bad item"}}), source="realtime"
            ),
            "ERROR realtime: the server reports message=bad item",
        ),
        (
            ServerEvent(
                type="response.done",
                source="realtime",
                data={"type": "response.done", "event_id": "e", "response": {"id": 1}, "n": 3},
            ),
            "INFO realtime: response.done n=3",
        ),
        (Event(type="pipeline.ended"), "INFO pipeline: pipeline.ended"),
    ],
)
def test_log_says_each_event_in_one_line(
    event: Event, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert records(caplog, event) == [expected]


def test_log_never_writes_a_long_or_a_broken_line(caplog: pytest.LogCaptureFixture) -> None:
    data = {"note": "many\nwords " * 1000, "other": "z" * 1000}
    (text,) = records(caplog, ServerEvent(type="x.y", data=data))
    assert len(text) <= 400 + len("INFO pipeline: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["INFO vad:", "DEBUG rt:", "WARNING recorder:", "ERROR pipeline:"]),
        ("info", ["INFO vad:", "WARNING recorder:", "ERROR pipeline:"]),
        ("warning", ["WARNING recorder:", "ERROR pipeline:"]),
        ("error", ["ERROR pipeline:"]),
    ],
)
def test_log_gives_each_event_its_level_and_leaves_out_what_is_below_its_own(
    level: str, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    delta = server_event({"type": "response.output_audio_transcript.delta", "delta": "H"})
    events = [
        STARTED,
        replace(delta, source="rt"),
        LinkDropped(source="recorder", dropped_ms=20, total_ms=20),
        StageFailed(error="gone", policy="fail"),
    ]
    lines = records(caplog, *events, level=level)
    assert [" ".join(line.split(" ")[:2]) for line in lines] == told
    assert logging.getLogger("rtpipe.stage.log").level == logging.NOTSET


# --- jsonl


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_jsonl_appends_a_line_for_each_event(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    said = UserTranscript(text="Grüße\nan alle", item_id="i1", source="realtime", at=2.5)
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED, said]))
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED]))
    first, second, third = lines(path)
    assert (first["type"], first["source"], first["at"]) == ("vad.speech_started", "vad", 1.25)
    assert (second["text"], second["item_id"]) == ("Grüße\nan alle", "i1")
    assert third.keys() == first.keys() == {"time", "type", "source", "at"}
    assert "Grüße" in path.read_text(encoding="utf-8")


async def test_jsonl_has_the_line_in_the_file_when_it_returns(tmp_path: Path) -> None:
    bench = Bench(Jsonl, {"path": tmp_path / "x.jsonl"})
    async with bench.opened():
        for count in (1, 2, 3):
            await bench.play([STARTED])
            assert len(lines(tmp_path / "x.jsonl")) == count


def test_jsonl_begins_a_new_file_when_the_date_in_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    days = iter([1, 1, 2, 2])
    monkeypatch.setattr(
        "rtpipe_plugins.subscribers.jsonl._now", lambda: datetime(2026, 1, next(days), tzinfo=UTC)
    )
    run_virtual(run_stage(Jsonl, {"path": tmp_path / "%d.jsonl"}, events=[STARTED] * 3))
    assert len(lines(tmp_path / "01.jsonl")) == 1
    assert len(lines(tmp_path / "02.jsonl")) == 2


def test_jsonl_takes_back_a_line_that_does_not_fit_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    full = iter([False, True, False])

    class SmallDisk:
        """A file on a disk that is full for the second line, after a part of it."""

        def __init__(self, file: FileIO) -> None:
            self._file = file
            self._writes = 0

        def write(self, data: Any) -> int:
            if len(data) > 10:
                self.full = next(full)
            elif self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            if self.full:
                return self._file.write(data[: len(data) - 5])
            return self._file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: SmallDisk(real(self, *a, **k)))

    async def main() -> None:
        bench = Bench(Jsonl, {"path": path})
        async with bench.opened():
            await bench.play([STARTED])
            with pytest.raises(StageError, match="No space left"):
                await bench.play([STARTED])
            await bench.play([STARTED])

    run_virtual(main())
    monkeypatch.undo()
    assert len(lines(path)) == 2


def test_jsonl_begins_on_a_new_line_where_another_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"type": "cut', encoding="utf-8")
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED]))
    cut_off, whole = path.read_text(encoding="utf-8").splitlines()
    assert cut_off == '{"type": "cut'
    assert json.loads(whole)["type"] == "vad.speech_started"


def test_jsonl_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        run_virtual(run_stage(Jsonl, {"path": tmp_path / "file" / "x.jsonl"}))


def test_jsonl_without_permission_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "x.jsonl")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvironmentProblem) as caught:
        run_virtual(run_stage(Jsonl, {"path": tmp_path / "x.jsonl"}))
    assert caught.value.exit_code is ExitCode.NO_PERMISSION


# --- exec


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


# --- python


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "light_show.py").write_text(
        """
import threading
seen = []
def note(event):
    seen.append((event.type, threading.current_thread()))
async def note_async(event):
    seen.append((event.type, threading.current_thread()))
def fail(event):
    raise ValueError("no bulb")
class Lamp:
    async def __call__(self, event):
        seen.append((event.type, threading.current_thread()))
lamp = Lamp()
number = 5
""",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import light_show

    yield light_show
    del sys.modules["light_show"]


@pytest.mark.parametrize("name", ["note", "note_async", "lamp"])
def test_python_calls_the_function_with_each_event(module: Any, name: str) -> None:
    run_virtual(run_stage(Python, {"target": f"light_show:{name}"}, events=[STARTED] * 2))
    assert [type_ for type_, _ in module.seen] == ["vad.speech_started"] * 2
    in_thread = module.seen[0][1] is not threading.main_thread()
    assert in_thread is (name == "note")


def test_python_tells_what_the_function_raises(module: Any) -> None:
    with pytest.raises(ValueError, match="no bulb"):
        run_virtual(run_stage(Python, {"target": "light_show:fail"}, events=[STARTED]))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:note", "No module named 'no_such_module'"),
        ("light_show:nothing", "has no attribute 'nothing'"),
        ("light_show:number", "is not a function"),
    ],
)
def test_python_says_what_it_cannot_find(module: Any, target: str, said: str) -> None:
    with pytest.raises(PluginError, match=said) as caught:
        run_virtual(run_stage(Python, {"target": target}))
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_python_refuses_what_is_no_target() -> None:
    for target in ("light_show", "light_show:", ":note", "light show:note"):
        with pytest.raises(ValidationError, match="pattern"):
            run_virtual(run_stage(Python, {"target": target}))


def test_they_keep_the_contract(module: Any, tmp_path: Path) -> None:
    check_stage(Log)
    check_stage(Jsonl, {"path": tmp_path / "x.jsonl"})
    check_stage(Python, {"target": "light_show:note"})
