"""key: terminal reads single keys beside the status line, and leaves the terminal as it was."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.command import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_S = 60
DESK = """
version: 1
stages: [{tone: {realtime: true}}, blackhole]
events:
  - key: terminal
  - log: info
  - match: key.pressed
    where: {key: "7"}
    do: blackhole.flush
"""
SHELL = "import os, sys; os.login_tty(0); os.execvp('bash', ['bash', *sys.argv[1:]])"
CHILD = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


class Screen:
    """A terminal, and `rtpipe run` or a shell as its foreground process."""

    def __init__(self, folder: Path, *, shell: bool = False) -> None:
        (folder / "desk.yaml").write_text(DESK)
        self._keyboard, self._screen = pty.openpty()
        self.before = termios.tcgetattr(self._screen)
        self.shown = ""
        run = [sys.executable, "-c", CHILD, "-m", "rtpipe", "run", "desk.yaml"]
        if shell:
            run = [sys.executable, "-c", SHELL, "--norc", "-i"]
        self.process = subprocess.Popen(
            run,
            cwd=folder,
            env=environment({"TERM": "xterm"}),
            stdin=self._screen,
            stdout=self._screen,
            stderr=self._screen,
            start_new_session=True,
        )

    def press(self, keys: str) -> None:
        os.write(self._keyboard, keys.encode())

    def until(self, text: str, *, pressing: str = "") -> None:
        """Read what it writes until `text` stands there; press keys until then."""
        end = time.monotonic() + SOON_S
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} never came:\n{self.shown}"
            if pressing:
                self.press(pressing)
            if select.select([self._keyboard], [], [], 0.1 if pressing else left)[0]:
                data = os.read(self._keyboard, 65_536).decode()
                self.shown += re.sub(r"\x1b\[[\d;]*[mK]", "", data)

    def modes(self) -> list[object]:
        return termios.tcgetattr(self._screen)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._keyboard)
        os.close(self._screen)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    made = Screen(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_keys_are_read_one_by_one_and_ctrl_c_still_ends_it(screen: Screen) -> None:
    screen.until("audio flows")
    screen.press(" é7\x1b[A\x1b")
    for key in ("space", "é", "7", "up", "esc"):
        screen.until(f"key: {key} is pressed")
    assert screen.shown.count("link.flushed") == 1
    assert screen.modes() != screen.before
    screen.press("rest\x03")
    screen.until("ended: SIGINT")
    assert screen.process.wait(SOON_S) in {0, 130}
    assert screen.modes() == screen.before
    assert "^[" not in screen.shown  # the echo of what was typed


@pytest.mark.slow
def test_a_second_signal_leaves_the_terminal_as_it_was_too(screen: Screen) -> None:
    screen.until("audio flows")
    for _ in range(2):
        screen.process.send_signal(signal.SIGTERM)
    screen.process.wait(SOON_S)
    assert screen.modes() == screen.before


@pytest.mark.slow
def test_it_goes_on_after_ctrl_z_and_leaves_the_keys_to_the_shell_behind_it(tmp_path: Path) -> None:
    screen = Screen(tmp_path, shell=True)
    try:
        screen.press(f"{sys.executable} -m rtpipe run desk.yaml\n")
        screen.until("audio flows")
        screen.press("\x1a")
        screen.until("Stopped")
        screen.press("fg\n")  # the terminal has the shell's modes now
        screen.until("key: b is pressed", pressing="b")
        screen.shown = ""
        screen.press("\x1a")
        screen.until("Stopped")
        screen.press("bg\n")
        screen.until("no more keys from terminal: rtpipe runs in the background")
        screen.press("fg\n")
        screen.until("keys come from terminal again")
        screen.press("c")
        screen.until("key: c is pressed")
        screen.press("\x03")
        screen.until("ended: SIGINT")
        screen.press("stty -a\n")
        screen.until(" icanon ")
    finally:
        screen.close()


@pytest.mark.slow
def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(DESK)
    ran = subprocess.run(
        [sys.executable, "-m", "rtpipe", "run", "desk.yaml"],
        cwd=tmp_path, env=environment({}), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True, timeout=SOON_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 69
    assert "there is no terminal to read keys from" in ran.stderr


@pytest.mark.slow
def test_in_the_background_of_a_terminal_it_says_so_and_is_not_stopped(tmp_path: Path) -> None:
    """The kernel stops who changes a terminal's modes, or reads it, from the background."""
    (tmp_path / "desk.yaml").write_text(DESK)
    shell = (
        "import os, subprocess, sys; os.login_tty(0); "
        "sys.exit(subprocess.run([sys.executable, *sys.argv[1:]], process_group=0).returncode)"
    )
    keyboard, screen = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", shell, "-m", "rtpipe", "run", "desk.yaml"],
        cwd=tmp_path, env=environment({"TERM": "xterm"}),
        stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(screen)
        shown = b""
        try:
            while data := os.read(keyboard, 65_536):
                shown += data
        except OSError:  # the last process has closed its side
            pass
        os.close(keyboard)
    assert b"rtpipe runs in its background" in shown
    assert process.returncode == 69
