"""The view on a real terminal, beside the kiosk that runs in another process."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest

from helpers.command import ROOT, environment

pytestmark = pytest.mark.slow

_PATIENCE_S = 60
_CONTROL = re.compile(r"\x1b\[[^A-Za-z]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Terminal:
    """What `rtpipe top` writes on a terminal of 80 by 24, and what is typed there."""

    def __init__(self, cwd: Path, runtime: str, *args: str, **extra: str) -> None:
        self.side, its_side = pty.openpty()
        ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rtpipe", "top", *args],
            cwd=cwd,
            env=environment({"TERM": "xterm-256color", "XDG_RUNTIME_DIR": runtime, **extra}),
            stdin=its_side,
            stdout=its_side,
            stderr=its_side,
            start_new_session=True,
        )
        os.close(its_side)
        self.written = b""

    def read(self, seconds: float = 0.2) -> bool:
        """Read what comes; False once the terminal is closed."""
        if select.select([self.side], [], [], seconds)[0]:
            try:
                self.written += os.read(self.side, 65_536)
            except OSError:  # the last process has closed its side
                return False
        return True

    def until(self, words: str) -> None:
        """Wait for words that are written."""
        begins = time.monotonic()
        while words not in _CONTROL.sub("", self.written.decode("utf-8", "replace")):
            assert time.monotonic() - begins < _PATIENCE_S, self.written[-3000:]
            assert self.read(), self.written[-3000:]

    def type(self, keys: str) -> None:
        os.write(self.side, keys.encode())

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self.read():
            pass
        os.close(self.side)
        return self.process.wait(20)


@pytest.fixture
def kiosk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The kiosk that ships, as it runs without devices and key; the folder of its socket."""
    (tmp_path / "pipelines").mkdir()
    for path in (ROOT / "pipelines").iterdir():
        if path.name != "out":
            (tmp_path / "pipelines" / path.name).symlink_to(path)
    runtime = f"{tmp_path_factory.mktemp('r')}"
    process = subprocess.Popen(
        [sys.executable, "-m", "rtpipe", "run", "pipelines/kiosk.yaml"],
        cwd=tmp_path,
        env=environment({"XDG_RUNTIME_DIR": runtime}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait((Path(runtime) / "rtpipe" / "kiosk.sock").exists)
        yield runtime
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait(holds: Callable[[], bool]) -> None:
    begins = time.monotonic()
    while not holds():
        assert time.monotonic() - begins < _PATIENCE_S
        time.sleep(0.02)


@contextmanager
def _shown(terminal: Terminal) -> Iterator[Terminal]:
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.end()


RESTORED = (b"\x1b[?1049l", b"\x1b[?25h")
"""The screen that was there before, and the cursor."""


def test_a_conversation_is_followed_at_80_by_24(kiosk: str, tmp_path: Path) -> None:
    with _shown(Terminal(tmp_path, kiosk, "kiosk")) as terminal:
        terminal.until("THE DESK IS SPEAKING")
        terminal.until("embedded peer")
        terminal.until("Hello, what are your opening hours today?")
        terminal.until("visitor.wav")
        terminal.type("m")
        terminal.until("m unmute")
        terminal.type("q")
        assert terminal.end() == 0
        for sequence in RESTORED:
            assert sequence in terminal.written
        assert terminal.written.endswith(b"kiosk goes on\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_restores_the_terminal(
    kiosk: str, tmp_path: Path, number: signal.Signals
) -> None:
    with _shown(Terminal(tmp_path, kiosk, "kiosk")) as terminal:
        terminal.until("STAGE")
        terminal.process.send_signal(number)
        terminal.end()
        for sequence in RESTORED:
            assert sequence in terminal.written


def test_a_terminal_without_colours_and_unicode_gets_neither(kiosk: str, tmp_path: Path) -> None:
    plain = {"NO_COLOR": "1", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with _shown(Terminal(tmp_path, kiosk, "kiosk", **plain, PYTHONIOENCODING="ascii")) as terminal:
        terminal.until("STAGE")
        terminal.until("--- open")
        terminal.until("visitor  Hello")
        terminal.type("\x03")  # Ctrl-C
        assert terminal.end() == 0
    assert terminal.written.isascii()
    assert b"38;" not in terminal.written
    assert not re.search(rb"\x1b\[[\d;]*3[0-7]m", terminal.written)
