"""A terminal's screen: what a program wrote, cell by cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_COLOURS = {31: "red", 32: "green", 33: "yellow", 36: "cyan"}
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(.)", re.DOTALL)


@dataclass(frozen=True)
class Style:
    """How a character looks; `colour` is "" for the terminal's own."""

    colour: str = ""
    bold: bool = False
    dim: bool = False


@dataclass(frozen=True)
class Cell:
    """A character on the screen."""

    text: str = " "
    style: Style = Style()


Row = list[Cell]


def text_of(row: Row) -> str:
    """Return the characters of a row."""
    return "".join(cell.text for cell in row)


class Screen:
    """As much of a terminal as `rtpipe run` needs: lines, carriage return, erase, colours.

    Args:
        columns: How wide it is. All that was ever written stays: it has no height.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[Row] = [[]]
        self._column = 0
        self._style = Style()

    def feed(self, text: str) -> None:
        """Show what a program wrote.

        Raises:
            ValueError: The program wrote a control sequence that this terminal does not know.
        """
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

    def _put(self, character: str) -> None:
        if self._column == self.columns:
            self._new_line()
        row = self.rows[-1]
        row += [Cell()] * (self._column + 1 - len(row))
        row[self._column] = Cell(character, self._style)
        self._column += 1

    def _new_line(self) -> None:
        self.rows.append([])
        self._column = 0

    def _control(self, parameters: str, command: str) -> None:
        if command == "K" and parameters == "2":
            self.rows[-1] = []
        elif command == "m":
            for code in (int(each or 0) for each in parameters.split(";")):
                self._render(code)
        elif command not in "hl":  # cursor shown or hidden
            raise ValueError(f"the screen does not know the control sequence {command!r}")

    def _render(self, code: int) -> None:
        if code == 0:
            self._style = Style()
        elif code == 1:
            self._style = replace(self._style, bold=True)
        elif code == 2:
            self._style = replace(self._style, dim=True)
        elif code in _COLOURS:
            self._style = replace(self._style, colour=_COLOURS[code])
        else:
            raise ValueError(f"the screen does not know the style {code}")
