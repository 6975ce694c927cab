"""Listening: what a surface gives is played by a program of the system's."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from rtpipe_control import sockets
from rtpipe_control.commands.playing import player
from rtpipe_control.commands.top.listen import Listening
from rtpipe_control.wave import wave_header

_SAMPLES = bytes(range(256)) * 40
_PATIENCE_S = 20


class _Surface(socketserver.StreamRequestHandler):
    """Answers as the surface does where a stage is listened to."""

    def handle(self) -> None:
        asked = self.rfile.readline()
        if not asked:  # somebody who looks whether anybody is there
            return
        while self.rfile.readline().strip():
            pass
        assert asked.startswith(b"GET /api/stages/gain%202/listen ")
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        self.wfile.write(wave_header(48_000, 1) + _SAMPLES)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the programs, with the socket of a run beside it."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(sockets, "_SYSTEM", Path(name))
        monkeypatch.setenv("PATH", f"{name}/bin")
        (Path(name) / "rtpipe").mkdir(mode=0o700)
        (Path(name) / "bin").mkdir()
        path = f"{name}/rtpipe/desk.sock"
        with socketserver.UnixStreamServer(path, _Surface) as server:
            serving = threading.Thread(target=server.serve_forever, args=(0.01,))
            serving.start()
            yield Path(name)
            server.shutdown()
            serving.join()


def program(folder: Path, text: str) -> None:
    path = folder / "bin" / "paplay"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def heard(folder: Path) -> str:
    """Listen to the end; returns why it ended."""
    over: SimpleQueue[str] = SimpleQueue()
    assert player() == "paplay"
    Listening("desk", "gain 2", over.put)
    return over.get(timeout=_PATIENCE_S)


def test_what_a_stage_gives_out_reaches_the_program_to_the_byte(folder: Path) -> None:
    program(folder, f"/bin/cat > {folder}/part; /bin/mv {folder}/part {folder}/heard")
    assert heard(folder) == "`gain 2` gives nothing more out"
    assert (folder / "heard").read_bytes() == _SAMPLES


def test_a_program_that_refuses_is_told_in_its_own_words(folder: Path) -> None:
    program(folder, "echo 'connection refused' >&2; exit 1")
    assert heard(folder) == "paplay cannot play: connection refused"


def test_a_run_that_is_over_is_said(folder: Path) -> None:
    program(folder, "/bin/cat")
    (folder / "rtpipe" / "desk.sock").unlink()
    assert heard(folder) == "no pipeline `desk` runs here"
