"""The graph as a picture: SVG that follows the light or dark of whoever shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rtpipe.cli.columns import clipped, columns

if TYPE_CHECKING:
    from rtpipe.cli.drawing.facts import EdgeFacts, Facts, StageFacts

_CHARACTER, _LINE = 7.2, 16  # of a 12 px monospaced font
_PAD, _GAP_X, _GAP_Y, _MARGIN = 10, 70, 26, 20
_WIDEST = 60
_STYLE = """
  svg { color-scheme: light dark; font: 12px ui-monospace, monospace; }
  .paper { fill: #ffffff; } text { fill: #1f2430; } .dim { fill: #5b6472; font-size: 10.5px; }
  rect.box { fill: #f4f6f9; stroke: #8a94a6; } path { fill: none; stroke: #5b6472; }
  .box.source { stroke: #1b7f4b; } .box.peer { stroke: #7a3fb0; } .box.sink { stroke: #b3541e; }
  .inline { stroke-dasharray: 4 3; } marker path { fill: #5b6472; stroke: none; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14171d; } text { fill: #e6e9ef; } .dim { fill: #9aa4b2; }
    rect.box { fill: #1e232c; stroke: #6d7789; } path { stroke: #9aa4b2; }
    .box.source { stroke: #4cc38a; } .box.peer { stroke: #b58ce0; }
    .box.sink { stroke: #e0915c; }
    marker path { fill: #9aa4b2; }
  }
""".strip("\n")
_END = """
<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>
""".strip()


def draw(facts: Facts) -> str:
    """Return the picture: stages from left to right, events and what they set off below."""
    boxes = _placed(facts)
    shapes = [_edge(edge, boxes, n) for n, edge in enumerate(facts.edges)]
    shapes += [_box(stage, boxes[stage.id]) for stage in facts.stages]
    width = max(x + w for x, _, w, _ in boxes.values()) + _MARGIN
    height = max(y + h for _, y, _, h in boxes.values()) + _MARGIN
    for route in facts.routes:
        text = clipped(f"{route.when()}  →  {route.then()}", 2 * _WIDEST)
        shapes.append(_text(_MARGIN, height + _LINE / 2, text, "dim"))
        width = max(width, 2 * _MARGIN + columns(text) * _CHARACTER)
        height += _LINE
    height += _MARGIN / 2
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(facts.name)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            _END,
            '<rect class="paper" width="100%" height="100%"/>',
            *shapes,
            "</svg>",
        ]
    )


def _lines(stage: StageFacts) -> list[tuple[str, str]]:
    """Return what stands in a stage's box, each line with its class."""
    lines = [(clipped(stage.label, _WIDEST), "")]
    lines += [(f"else {kind}", "dim") for kind in stage.fallbacks]
    if stage.on_error != "fail":
        lines.append((f"on_error: {stage.on_error}", "dim"))
    return lines


def _placed(facts: Facts) -> dict[str, tuple[float, float, float, float]]:
    """Return where each stage's box is: x, y, width, height."""
    depth: dict[str, int] = {}
    for stage in facts.stages:
        depth[stage.id] = max((depth[id] + 1 for id in stage.inputs), default=0)
    boxes: dict[str, tuple[float, float, float, float]] = {}
    x = float(_MARGIN)
    for level in range(max(depth.values(), default=0) + 1):
        here = [stage for stage in facts.stages if depth[stage.id] == level]
        widths = [max(columns(text) for text, _ in _lines(stage)) for stage in here]
        width = max(widths) * _CHARACTER + 2 * _PAD
        y = float(_MARGIN)
        for stage in here:
            height = len(_lines(stage)) * _LINE + 2 * _PAD - 4
            boxes[stage.id] = (x, y, width, height)
            y += height + _GAP_Y
        x += width + _GAP_X
    return boxes


def _box(stage: StageFacts, box: tuple[float, float, float, float]) -> str:
    x, y, width, height = box
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    parts = [f'<rect class="box {stage.family}" {size} rx="6"/>']
    for number, (text, name) in enumerate(_lines(stage), 1):
        parts.append(_text(x + _PAD, y + _PAD - 2 + number * _LINE - 4, text, name))
    return "".join(parts)


def _edge(edge: EdgeFacts, boxes: dict[str, tuple[float, float, float, float]], number: int) -> str:
    x1, y1, w1, h1 = boxes[edge.feeder]
    x2, y2, _, h2 = boxes[edge.reader]
    begin, end = (x1 + w1, y1 + h1 / 2), (x2, y2 + h2 * (edge.inlet + 1) / (edge.inlet + 2))
    bend = max(30.0, (end[0] - begin[0]) / 2)
    name = "inline" if edge.max_ms is None else "queue"
    words = f"<title>{escape(edge.words() or 'inline')}</title>"
    path = (
        f'<path id="p{number}" class="{name}" marker-end="url(#end)" d="M{begin[0]:.1f} '
        f"{begin[1]:.1f}C{begin[0] + bend:.1f} {begin[1]:.1f} {end[0] - bend:.1f} "
        f'{end[1]:.1f} {end[0]:.1f} {end[1]:.1f}">{words}</path>'
    )
    if edge.max_ms is None:
        return path
    middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - 5)
    return path + _text(*middle, f"{edge.max_ms:g} ms", "dim", anchor="middle")


def _text(x: float, y: float, text: str, name: str, anchor: str = "") -> str:
    given = f' class="{name}"' if name else ""
    given += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{escape(text)}</text>'
