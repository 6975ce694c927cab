"""Draws docs/kiosk.svg: a terminal in the middle of a real conversation.

    python -m tools.picture

The kiosk runs in a pseudo-terminal of its own, without a key and without devices, so that anybody
gets the same picture but for the times. What it wrote is drawn as it stands on the screen.
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
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "kiosk.svg"
COLUMNS, ROWS = 100, 28
COMMAND = "rtpipe run pipelines/kiosk.yaml"
MOMENT = re.compile(r"where is the cafe.*model speaks.*realtime [▃-█]{4}", re.DOTALL)
"""What stands on the screen when it is drawn: the second answer is being spoken."""

_CELL_WIDTH, _CELL_HEIGHT, _FONT_SIZE, _MARGIN = 8.4, 19, 14, 18
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_BACKGROUND, _FOREGROUND = "#16181d", "#d7dae0"
_COLOURS = {
    30: "#5c6370", 31: "#e06c75", 32: "#98c379", 33: "#e5c07b",
    34: "#61afef", 35: "#c678dd", 36: "#56b6c2", 37: "#d7dae0",
}  # fmt: skip
_PATIENCE_S = 60
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(.)", re.DOTALL)


@dataclass(frozen=True)
class Style:
    """How a character looks."""

    colour: str = _FOREGROUND
    bold: bool = False
    dim: bool = False


@dataclass(frozen=True)
class Cell:
    """A character on the screen."""

    text: str = " "
    style: Style = Style()


class Screen:
    """As much of a terminal as the command needs: lines, carriage return, erase, colours."""

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self.columns = columns
        self.rows = rows
        self.lines: list[list[Cell]] = [[]]
        self._column = 0
        self._style = Style()

    def feed(self, text: str) -> None:
        """Show what a program wrote."""
        for found in _TOKEN.finditer(text):
            parameters, command, character = found.groups()
            if character is None:
                self._control(parameters, command)
            elif character == "\n":
                self._new_line()
            elif character == "\r":
                self._column = 0
            elif character >= " ":
                self._put(character)

    def visible(self) -> list[list[Cell]]:
        """Return the lines that fit on the screen, the last ones."""
        return self.lines[-self.rows :]

    def _put(self, character: str) -> None:
        if self._column == self.columns:
            self._new_line()
        line = self.lines[-1]
        line += [Cell()] * (self._column + 1 - len(line))
        line[self._column] = Cell(character, self._style)
        self._column += 1

    def _new_line(self) -> None:
        self.lines.append([])
        self._column = 0

    def _control(self, parameters: str, command: str) -> None:
        if command == "K" and parameters == "2":
            self.lines[-1] = []
        elif command == "m":
            for code in (int(each or 0) for each in parameters.split(";")):
                self._render(code)
        elif command not in "hl":  # cursor shown or hidden
            raise ValueError(f"the picture does not know the control sequence {command!r}")

    def _render(self, code: int) -> None:
        if code == 0:
            self._style = Style()
        elif code == 1:
            self._style = replace(self._style, bold=True)
        elif code == 2:
            self._style = replace(self._style, dim=True)
        elif code in _COLOURS:
            self._style = replace(self._style, colour=_COLOURS[code])


def svg(lines: list[list[Cell]], columns: int = COLUMNS) -> str:
    """Return a drawing of some lines of a terminal."""
    width = round(columns * _CELL_WIDTH + 2 * _MARGIN)
    height = round(len(lines) * _CELL_HEIGHT + 2 * _MARGIN)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(COMMAND)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{_BACKGROUND}"/>',
        f'<g font-family="{_FONT}" font-size="{_FONT_SIZE}" xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        y = _MARGIN + (number + 0.75) * _CELL_HEIGHT
        column = 0
        for style, cells in groupby(line, key=lambda cell: cell.style):
            text = "".join(cell.text for cell in cells)
            if text.strip():
                parts.append(_text(text, style, _MARGIN + column * _CELL_WIDTH, y))
            column += len(text)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _text(text: str, style: Style, x: float, y: float) -> str:
    """Return a run of characters of one style; `textLength` keeps columns below one another."""
    look = f' fill="{style.colour}"'
    look += ' font-weight="bold"' if style.bold else ""
    look += ' opacity="0.6"' if style.dim else ""
    length = f'textLength="{len(text) * _CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {length}{look}>{escape(text)}</text>'


def capture() -> Screen:
    """Run the kiosk in a terminal and return its screen at the `MOMENT`."""
    screen = Screen()
    screen.feed(f"\x1b[32;1m$\x1b[0m {COMMAND}\r\n")
    private = ("OPENAI_", "AZURE_", "KIOSK_", "NO_COLOR")
    env = {key: value for key, value in os.environ.items() if not key.startswith(private)}
    env |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    program = [sys.executable, "-m", "rtpipe", *COMMAND.split()[1:]]
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "pipelines").mkdir()
        for path in (ROOT / "pipelines").iterdir():
            if path.name != "out":
                (Path(work) / "pipelines" / path.name).symlink_to(path)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
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
    return screen


def _watch(master: int, screen: Screen) -> None:
    """Feed the screen until the moment has come."""
    started = time.monotonic()
    written = b""
    while time.monotonic() - started < _PATIENCE_S:
        if select.select([master], [], [], 0.05)[0]:
            written += os.read(master, 65_536)
            continue
        screen.feed(written.decode("utf-8"))  # nothing comes: the last drawing is whole
        written = b""
        lines = ("".join(cell.text for cell in line) for line in screen.visible())
        if MOMENT.search("\n".join(lines)):
            return
    raise SystemExit(f"the moment did not come within {_PATIENCE_S} s")


def _read_to_end(master: int) -> None:
    try:
        while os.read(master, 65_536):
            pass
    except OSError:  # the last process has closed the terminal
        return


def main() -> None:
    """Draw the picture."""
    PICTURE.write_text(svg(capture().visible()), "utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
