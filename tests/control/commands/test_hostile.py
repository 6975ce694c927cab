"""Sockets that hang, lie, are too many, or belong to somebody else: told, or not even asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from helpers.command import environment, rtpipe
from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_control import sockets
from rtpipe_control.client import Client, RunEnded, snapshots

Answer = Callable[[socket.socket], None]
Listens = Callable[[str, Answer], Path]
_NOBODY = 65534


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for sockets that nobody else uses, not even the system's services."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(sockets, "_SYSTEM", Path(folder) / "rtpipe")
        yield


@pytest.fixture
def listens() -> Iterator[Listens]:
    """Bind sockets of runs that answer whatever a test wants."""
    listeners: list[socket.socket] = []

    def listen(name: str, answer: Answer) -> Path:
        folder = sockets.folders()[0]
        folder.mkdir(mode=0o700, exist_ok=True)
        path = sockets.path_of(name, folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"{path}")
        listener.listen(64)
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller, suppress(OSError):
                    answer(caller)

        threading.Thread(target=serve, daemon=True).start()
        return path

    yield listen
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says(data: bytes) -> Answer:
    """Answer a request with `data`, and hang up."""

    def answer(caller: socket.socket) -> None:
        with caller.makefile("rb") as request:
            length = 0
            while (line := request.readline()) not in {b"\r\n", b""}:
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            request.read(length)
        caller.sendall(data)

    return answer


def reply(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return an HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


RUBBISH = {
    "no HTTP": b"\xff\xfe\x00\r\n" * 100,
    "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    "no JSON": reply(b"<html>"),
    "deep JSON": reply(b"[" * 200_000),
    "no text": reply(b"\xff\xff"),
    "a list": reply(b"[]"),
    "other things": reply(b'{"stages": [1, null], "links": {}, "now": "x", "run": [], "page": 3}'),
    "no stages": reply(b'{"stages": 3}'),
    "a refusal without words": reply(b"{}", "500 Oh"),
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n{}",
    "half of it": reply(b"{}" + bytes(500))[:-400],
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{",
    "nothing": b"",
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH)
@pytest.mark.parametrize(
    "args",
    [
        ["ps"],
        ["ctl", "liar"],
        ["ctl", "liar", "gain.set", "1"],
        ["ctl", "liar", "stop"],
        ["events", "liar"],
        ["tap", "liar", "mic", "-o", "a.wav"],
    ],
    ids=" ".join,
)
def test_rubbish_is_told_in_a_sentence(
    args: list[str], data: bytes, listens: Listens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from rtpipe.cli import cli

    monkeypatch.chdir(tmp_path)
    listens("liar", says(data))
    done = CliRunner().invoke(cli, args)
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.exit_code in {ExitCode.OK, ExitCode.FAILED, ExitCode.UNAVAILABLE, ExitCode.USAGE}
    if args[0] == "ps":
        assert done.exit_code == ExitCode.OK
    else:
        assert done.exit_code != ExitCode.OK
    if args[0] == "ctl" and data == RUBBISH["half of it"]:
        assert done.stderr == "error: `liar` has ended\n"
    assert not (tmp_path / "a.wav").exists()


def test_control_characters_of_a_server_are_not_printed(listens: Listens) -> None:
    from click.testing import CliRunner

    from rtpipe.cli import cli

    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    action = {"name": evil, "summary": evil, "arguments": [], "why_not": evil}
    stage = {
        "id": evil, "kind": evil, "summary": evil, "actions": [action], "status": "failed",
        "detail": evil, "lost_frames": 3, "wanted": {"stage": evil, "reason": evil},
    }  # fmt: skip
    alert = {"stage": "x", "text": evil}
    shown = {
        "run": evil, "name": evil, "state": evil, "now": 3, "file": f"{evil}\n{evil}",
        "page": evil, "stages": [stage], "condition": {"text": evil, "alerts": [alert]},
        "links": [{"from": evil, "to": evil, "dropped_ms": 20}],
    }  # fmt: skip
    event = {"at": 1, "line": evil, "speaker": evil, "importance": "notice", "source": evil}
    told = {"snapshot": shown, "event": event, "missed": {"events": evil}, "end": {}}
    stream = "".join(f"event: {kind}\ndata: {json.dumps(each)}\n\n" for kind, each in told.items())
    refusal = reply(json.dumps({"error": evil, "help": evil}).encode(), "409 No")
    for data, args in (
        (reply(json.dumps(shown).encode()), ["ps"]),
        (reply(json.dumps(shown).encode()), ["ps", "--json"]),
        (reply(json.dumps(shown).encode()), ["ctl"]),
        (reply(json.dumps(shown).encode()), ["ctl", "evil"]),
        (reply(json.dumps(shown).encode()), ["ctl", "evil", "--json"]),
        (refusal, ["ctl", "evil", "a.b"]),
        (refusal, ["tap", "evil", "a", "-o", "a.wav"]),
        (reply(json.dumps({"result": evil, "event": None}).encode()), ["ctl", "evil", "a.b"]),
        (reply(json.dumps({"result": evil}).encode()), ["ctl", "evil", "link"]),
        (reply(json.dumps({"result": None, "event": event}).encode()), ["ctl", "evil", "a.b"]),
        (reply(stream.encode(), kind="text/event-stream"), ["events", "evil"]),
        (reply(stream.encode(), kind="text/event-stream"), ["events", "evil", "--json"]),
    ):
        path = listens("evil", says(data))
        done = CliRunner().invoke(cli, args)
        assert "owned" in done.output, args
        assert "internal error" not in done.stderr
        assert not set(done.output) & {"\x1b", "\x07", "\x9b", "\u202e"}, (args, done.output)
        path.unlink()


@pytest.mark.slow
def test_two_hundred_runs_of_one_name_are_listed_and_one_that_hangs_keeps_nobody(
    listens: Listens,
) -> None:
    asked = threading.Event()

    def hang(_: socket.socket) -> None:
        asked.wait(60)

    paths = [listens("a-kiosk", hang)]  # the first that is asked
    shown = {"run": "kiosk", "state": "running", "now": 1, "stages": [], "links": [], "file": "a"}
    for number in range(1, 201):
        body = json.dumps({**shown, "run": f"kiosk-{number}"}).encode()
        name = "kiosk" if number == 1 else f"kiosk-{number}"
        paths.append(listens(name, says(reply(body))))
    found = sockets.found()
    assert sorted(found) == sorted(paths)
    answers = dict(snapshots(found, 4.0))
    asked.set()
    assert isinstance(answers[paths[0]], EnvironmentProblem)
    assert [answers[path]["run"] for path in paths[1:]] == [f"kiosk-{n}" for n in range(1, 201)]  # type: ignore[index]
    with pytest.raises(EnvironmentProblem) as error:
        Client.of("gone")
    assert "and 181 more" in (error.value.help or "")
    with sockets.bound("kiosk") as (run, _):
        assert run == "kiosk-201"


def test_a_run_that_ends_in_the_middle_is_no_longer_there(listens: Listens, tmp_path: Path) -> None:
    listens("brief", says(b""))
    (answer,) = snapshots(sockets.found(), 4.0)
    assert isinstance(answer[1], RunEnded)
    for args in (
        ["ctl", "brief"],
        ["ctl", "brief", "a.b"],
        ["events", "brief"],
        ["ctl", "brief", "stop"],
    ):
        done = rtpipe(*args, cwd=tmp_path)
        assert (done.code, done.err) == (ExitCode.UNAVAILABLE, "error: `brief` has ended\n"), args


def test_a_socket_that_listens_only_now_is_not_taken_for_dead() -> None:
    with sockets.bound("young") as (_, listener):
        assert sockets.found() == [Path(listener.getsockname())]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give a folder away")
def test_a_folder_of_another_user_is_not_looked_into(listens: Listens) -> None:
    asked: list[bytes] = []
    path = listens("kiosk", lambda caller: asked.append(caller.recv(1)))
    os.chown(path.parent, _NOBODY, _NOBODY)
    assert sockets.found() == []
    assert sockets.find("kiosk") is None
    assert path.exists()
    assert asked == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become another user")
def test_another_user_finds_nothing_and_removes_nothing(listens: Listens, tmp_path: Path) -> None:
    asked: list[bytes] = []
    path = listens("kiosk", lambda caller: asked.append(caller.recv(1)))
    path.parents[1].chmod(0o755)
    path.parent.chmod(0o700)
    program = (
        "import os, sys, rtpipe.cli, rtpipe.wording.rendering\n"
        "import rtpipe_control.commands.ctl, rtpipe_control.commands.ps\n"
        "from click.testing import CliRunner\n"
        "from rtpipe.cli.settings import add_common_options\n"
        "# all is imported: this user cannot read our files\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from rtpipe_control.commands import ctl, ps\n"
        "for command, args in ((ps.ps, []), (ctl.ctl, []), (ctl.ctl, ['kiosk', 'a.b'])):\n"
        "    add_common_options(command)\n"
        "    done = CliRunner().invoke(command, args)\n"
        "    print(done.exit_code, repr(done.exception), done.output.strip())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0].startswith("0 None no pipeline of yours runs here")
    assert lines[1].startswith("0 None no pipeline of yours runs here")
    assert "no pipeline `kiosk` runs here" in lines[2]
    assert asked == []
    assert path.exists()
