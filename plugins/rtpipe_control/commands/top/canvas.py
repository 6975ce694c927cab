"""The canvas: lines of styled text as Textual draws them, on the terminal's own ground."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from rtpipe_control.commands.top.cells import width_of

if TYPE_CHECKING:
    from rtpipe_control.commands.top.cells import Line

_DARK = {"visitor": "#74b6ff", "model": "#f3ac4e", "fault": "#ff8f95"}
_LIGHT = {"visitor": "#0a5cb8", "model": "#8a4b00", "fault": "#b01030"}


class Canvas(Widget):
    """Lines, each drawn again only where it has changed."""

    DEFAULT_CSS = "Canvas { width: 100%; height: 100%; background: ansi_default; }"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self._styles: dict[str, Style] = {}
        self._colours = _LIGHT if _is_light() else _DARK

    def show(self, lines: list[Line]) -> None:
        """Show these."""
        before, self.lines = self.lines, lines
        width = self.size.width
        rows = range(max(len(before), len(lines)))
        changed = [y for y in rows if before[y : y + 1] != lines[y : y + 1]]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """Return a line as Textual draws it."""
        width = self.size.width
        if y >= len(self.lines):
            return Strip.blank(width)
        line = self.lines[y]
        spans = [Segment(text, self._style(style)) for text, style in line if text]
        left = max(0, width - width_of(line))
        return Strip([*spans, Segment(" " * left)], width)

    def _style(self, words: str) -> Style:
        found = self._styles.get(words)
        if found is None:
            names = words.split()
            colour = next((self._colours[name] for name in names if name in self._colours), None)
            found = Style(
                color=colour,
                dim="dim" in names or None,
                bold="bold" in names or None,
                reverse="reverse" in names or None,
            )
            self._styles[words] = found
        return found


def _is_light() -> bool:
    """Return whether the terminal says that its ground is light: `COLORFGBG`, as rxvt does."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"}
