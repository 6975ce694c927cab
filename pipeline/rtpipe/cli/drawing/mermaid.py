"""The graph for Mermaid, which GitHub and many pages draw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe.cli.drawing.facts import Facts

_SHAPES = {"source": "([{}])", "transform": "[{}]", "peer": "{{{{{}}}}}", "sink": "[/{}/]"}


def draw(facts: Facts) -> str:
    """Return the text; what runs inline has a dotted arrow, events come below."""
    lines = ["flowchart LR"]
    for stage in facts.stages:
        label = "<br>".join((stage.label, *(f"else {kind}" for kind in stage.fallbacks)))
        lines.append(f"  {_name(stage.id)}{_SHAPES[stage.family].format(_text(label))}")
    for edge in facts.edges:
        arrow = "-.->" if edge.max_ms is None else "-->"
        words = f"|{_text(edge.words())}|" if edge.words() else ""
        lines.append(f"  {_name(edge.feeder)} {arrow}{words} {_name(edge.reader)}")
    for number, route in enumerate(facts.routes):
        lines.append(f"  e{number}>{_text(route.when())}] -.- r{number}[{_text(route.then())}]")
    return "\n".join(lines)


def _text(text: str) -> str:
    """Return a text as Mermaid quotes it."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', "#quot;")
    return f'"{quoted}"'


def _name(id: str) -> str:
    """Return an id as Mermaid takes it: `end` and `graph` are words of its own."""
    return f"s_{id}"
