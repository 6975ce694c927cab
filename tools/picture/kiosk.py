"""The kiosk in a terminal, in the middle of a conversation.

It runs in a pseudo-terminal of its own and without a key, so that anybody without devices gets the
same picture but for the times. Its quiet lines are left out: only what it prints bright is shown.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.picture.drawing import svg
from tools.picture.screen import Screen, text_of

if TYPE_CHECKING:
    from tools.picture.screen import Row

ROOT = Path(__file__).parents[2]
COMMAND = "rtpipe run pipelines/kiosk.yaml --latency"
_MOMENT = re.compile(r"where is the cafe.*╱.*gate closed\s+model(?!.*realtime [·▁-▄])", re.DOTALL)
"""What stands on the screen when it is drawn: the second answer is being spoken, aloud."""
_STAMP = re.compile(r"\d\d:\d\d\.\d  ")
_NAME = len("00:00.0  ")
_ROWS = 40
_PATIENCE_S = 60


def draw(columns: int) -> str:
    """Run the kiosk in a terminal that is `columns` wide; return the picture of it."""
    screen = Screen(columns)
    screen.feed(f"\x1b[32;1m$\x1b[0;1m {COMMAND}\x1b[0m\r\n")
    _run(screen)
    return svg(_steps(screen.rows), columns, COMMAND)


def _steps(rows: list[Row]) -> list[list[Row]]:
    """Return the command, what takes over, what is said and waited for, and the live line."""
    command, *printed, live = rows
    entries: list[list[Row]] = []
    for row in printed:
        if _STAMP.match(text_of(row)):
            entries.append([])
        entries[-1].append(row)
    warnings: list[Row] = []
    conversation: list[Row] = []
    for entry in entries:
        name = next(cell.style for cell in entry[0][_NAME:] if cell.text != " ")
        if name.colour == "yellow":
            warnings += entry
        elif name.bold:
            conversation += entry
    return [[command], warnings, conversation, [live]]


def _run(screen: Screen) -> None:
    """Show the kiosk on the screen until the moment has come, then end it."""
    private = ("OPENAI_", "AZURE_", "KIOSK_", "NO_COLOR")
    env = {key: value for key, value in os.environ.items() if not key.startswith(private)}
    env |= {"TERM": "xterm-256color", "COLUMNS": f"{screen.columns}", "LINES": f"{_ROWS}"}
    program = [sys.executable, "-m", "rtpipe", *COMMAND.split()[1:]]
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "pipelines").mkdir()
        for path in (ROOT / "pipelines").iterdir():
            if path.name != "out":
                (Path(work) / "pipelines" / path.name).symlink_to(path)
        master, slave = pty.openpty()
        size = struct.pack("HHHH", _ROWS, screen.columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        process = subprocess.Popen(
            program, cwd=work, env=env, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        try:
            _watch(master, screen)
        finally:
            process.send_signal(signal.SIGINT)
            _read_to_end(master)
            process.wait()
            os.close(master)


def _watch(master: int, screen: Screen) -> None:
    started = time.monotonic()
    written = b""
    while time.monotonic() - started < _PATIENCE_S:
        if select.select([master], [], [], 0.05)[0]:
            try:
                written += os.read(master, 65_536)
            except OSError:  # it has closed the terminal
                raise SystemExit("the kiosk ended before the moment came") from None
            continue
        screen.feed(written.decode("utf-8"))  # nothing comes: the last drawing is whole
        written = b""
        if _MOMENT.search("\n".join(map(text_of, screen.rows))):
            return
    raise SystemExit(f"the moment did not come within {_PATIENCE_S} s")


def _read_to_end(master: int) -> None:
    try:
        while os.read(master, 65_536):
            pass
    except OSError:  # the last process has closed the terminal
        return
