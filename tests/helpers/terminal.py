"""A terminal of a given width: what a command writes to it, line by line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from helpers.command import environment

_STYLE = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Shown:
    """How a command ended, and what stood on its terminal.

    Attributes:
        code: The exit code.
        lines: What stayed.
        statuses: What stood below them, one after another.
    """

    code: int
    lines: list[str]
    statuses: list[str]


def shown(*args: str | Path, columns: int, cwd: Path) -> Shown:
    """Run a command to its end on a terminal that is `columns` wide."""
    terminal, its_side = pty.openpty()
    fcntl.ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", *map(str, args)],
        cwd=cwd,
        env=environment({"TERM": "xterm"}),
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    ) as process:
        os.close(its_side)
        written = _read_to_end(terminal)
    lines: list[str] = []
    statuses: list[str] = []
    for drawn in _STYLE.sub("", written).split("\r\x1b[2K"):
        *whole, status = drawn.split("\r\n")
        lines += whole
        statuses += [status] if status else []
    return Shown(process.returncode, lines, statuses)


def _read_to_end(terminal: int) -> str:
    written = b""
    try:
        while piece := os.read(terminal, 65_536):
            written += piece
    except OSError:  # the last process has closed its side
        pass
    finally:
        os.close(terminal)
    return written.decode()
