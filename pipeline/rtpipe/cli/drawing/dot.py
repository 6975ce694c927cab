"""The graph for Graphviz."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe.cli.drawing.facts import Facts


def draw(facts: Facts) -> str:
    """Return the text; what runs inline has a dashed arrow, events stand in a box of their own."""
    lines = ["digraph pipeline {", "  rankdir=LR;", "  node [shape=box];"]
    for stage in facts.stages:
        label = "\n".join((stage.label, *(f"else {kind}" for kind in stage.fallbacks)))
        lines.append(f"  {_text(stage.id)} [label={_text(label)}];")
    for edge in facts.edges:
        said = [f"label={_text(edge.words())}"] if edge.words() else []
        said += ["style=dashed"] if edge.max_ms is None else []
        style = f" [{', '.join(said)}]" if said else ""
        lines.append(f"  {_text(edge.feeder)} -> {_text(edge.reader)}{style};")
    if facts.routes:
        lines += ["  subgraph cluster_events {", '    label="events";']
        for number, route in enumerate(facts.routes):
            lines.append(f"    e{number} [shape=note, label={_text(route.when())}];")
            lines.append(f"    r{number} [label={_text(route.then())}];")
            lines.append(f"    e{number} -> r{number} [style=dotted];")
        lines.append("  }")
    return "\n".join([*lines, "}"])


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
