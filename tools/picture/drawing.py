"""Draws rows of a terminal as SVG, so that they look alike in every browser and with every font.

Each letter has a place of its own, so blanks hold and columns stand below one another whatever the
font; none is stretched. Bars, hatching and levels are shapes: fonts disagree about them.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from tools.picture.screen import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.picture.screen import Row, Style

CELL = 8.5
"""The width of a column; a monospaced letter of 14 px is 7.7 to 8.7 wide."""
MARGIN = 20
_ROW = 20
_STEP = 16
"""Between two steps, with a line in the middle."""
_BASELINE = 15
_BAR_TOP, _BAR_BOTTOM = 4.5, 16.0
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_SHAPES = frozenset(_EIGHTHS[1:] + "▒╱▪·│")
_LIGHT = {
    "ink": "#14181d", "ground": "#f8f8f6", "line": "#d5d9dd", "edge": "#76808c", "dim": "#4f5965",
    "cyan": "#0a5cb8", "green": "#1d6b36", "yellow": "#8a4b00", "red": "#b01030",
}  # fmt: skip
_DARK = {
    "ink": "#e9edf1", "ground": "#171c22", "line": "#2c343d", "edge": "#76828f", "dim": "#a6b0bb",
    "cyan": "#74b6ff", "green": "#7fcf8f", "yellow": "#f3ac4e", "red": "#ff8f95",
}  # fmt: skip
_SHARED_CSS = """\
text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre;
  font-variant-ligatures: none; fill: currentColor }
.bold { font-weight: 700 }
.bar { fill: currentColor }
.hatch { fill: none; stroke: currentColor; stroke-width: 1.2 }"""


def svg(steps: Sequence[Sequence[Row]], columns: int, title: str) -> str:
    """Return a drawing of a terminal, step by step, with a line between two of them.

    Args:
        steps: Rows of the terminal.
        columns: How wide it is.
        title: What it is a picture of; all that it says stands in its description.
    """
    rows = sum(map(len, steps))
    width = round(columns * CELL + 2 * MARGIN)
    height = rows * _ROW + (len(steps) - 1) * _STEP + 2 * MARGIN
    said = "\n".join(text_of(row).rstrip() for step in steps for row in step)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title said">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="said" xml:space="preserve">{escape(said)}</desc>',
        f"<style>\n{_css()}\n</style>",
        f'<rect class="ground" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="6"/>',
    ]
    y = float(MARGIN)
    for number, step in enumerate(steps):
        if number:
            middle = y + _STEP / 2
            parts.append(f'<path class="rule" d="M{MARGIN} {middle:g}H{width - MARGIN}"/>')
            y += _STEP
        for row in step:
            parts += _row(row, y)
            y += _ROW
    return "\n".join([*parts, "</svg>", ""])


def _css() -> str:
    """Return the styles, with every colour written out: not everything that draws knows `var()`."""
    dark = f"@media (prefers-color-scheme: dark) {{\n{_theme(_DARK)}\n}}"
    return "\n".join([_SHARED_CSS, _theme(_LIGHT), dark])


def _theme(colours: Mapping[str, str]) -> str:
    names = ("dim", "cyan", "green", "yellow", "red")
    return "\n".join(
        [
            f"svg {{ color: {colours['ink']} }}",
            f".ground {{ fill: {colours['ground']}; stroke: {colours['line']} }}",
            f".rule {{ stroke: {colours['line']} }}",
            f".bound {{ stroke: {colours['edge']} }}",
            *(f".{name} {{ color: {colours[name]} }}" for name in names),
            f".network {{ color: {colours['edge']} }}",
        ]
    )


def _row(row: Row, y: float) -> Iterator[str]:
    column = 0
    for (style, shape), cells in groupby(row, key=lambda cell: (cell.style, _shape(cell.text))):
        text = text_of(list(cells))
        if shape:
            yield _drawn(shape, len(text), column, y, style)
        elif text.strip():
            yield _written(text.rstrip(), column, y, style)
        column += len(text)


def _shape(text: str) -> str:
    """Return the shape that stands for a character; "" for a letter."""
    return text if text in _SHAPES else ""


def _written(text: str, column: int, y: float, style: Style) -> str:
    blank = len(text) - len(text.lstrip())
    places = " ".join(f"{_x(column + at):g}" for at in range(blank, len(text)))
    return (
        f'<text x="{places}" y="{y + _BASELINE:g}" xml:space="preserve"{_class(style)}>'
        f"{escape(text.lstrip())}</text>"
    )


def _drawn(shape: str, count: int, column: int, y: float, style: Style) -> str:
    """Return `count` cells with one shape, as one where they touch."""
    left, width = _x(column), count * CELL
    top, bottom = y + _BAR_TOP, y + _BAR_BOTTOM
    if shape == "╱":
        half = CELL / 2
        starts = (left + half * number for number in range(2 * count))
        lines = "".join(f"M{x:g} {bottom:g}L{x + half:g} {top:g}" for x in starts)
        return f'<path{_class(style, "hatch")} d="{lines}"/>'
    if shape == "│":
        return f'<path class="bound" d="M{left + CELL / 2:g} {y:g}v{_ROW}"/>'
    if shape in "▪·":
        side = {"▪": 5.0, "·": 1.6}[shape]
        middle = (top + bottom) / 2
        squares = "".join(
            f"M{left + (number + 0.5) * CELL - side / 2:g} {middle - side / 2:g}"
            f"h{side}v{side}h-{side}z"
            for number in range(count)
        )
        return f'<path{_class(style, "bar")} d="{squares}"/>'
    if shape == "▒":
        box = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{bottom - top:g}"'
        return f'<rect class="bar network" {box}/>'
    height = (bottom - top) * _EIGHTHS.index(shape) / (len(_EIGHTHS) - 1)
    box = f'x="{left:g}" y="{bottom - height:g}" width="{width:g}" height="{height:g}"'
    return f"<rect{_class(style, 'bar')} {box}/>"


def _x(column: int) -> float:
    return MARGIN + column * CELL


def _class(style: Style, *others: str) -> str:
    names = [*others, style.colour, "bold" * style.bold, "dim" * style.dim]
    said = " ".join(filter(None, names))
    return f' class="{said}"' if said else ""
