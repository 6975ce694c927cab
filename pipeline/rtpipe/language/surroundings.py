"""What each stage has around it, and what it finds wrong with that. Knows no kind by name."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rtpipe.examination import Surroundings
from rtpipe.language.examining import option_span
from rtpipe.language.line_edits import above
from rtpipe.stage import Stage

if TYPE_CHECKING:
    from rtpipe.examination import Finding
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.wording.diagnostics import Findings

MOST_BEFORE = 100
"""So far back a stage is told what is before it."""


def examine_surroundings(graph: Graph, findings: Findings) -> None:
    """Let every stage say whether it can do its work where it stands.

    Args:
        graph: A pipeline that holds.
        findings: Takes what is found.
    """
    called: dict[str, set[str]] = {}
    for route in graph.pipeline.routes:
        for call in route.actions:
            called.setdefault(call.stage, set()).add(call.name)
    for id, node in graph.nodes.items():
        if all(_is_content(member.stage_type) for member in node.spec.chain):
            continue
        before = {each: _types(graph, each) for each in _upstream(graph, id)}
        around = Surroundings(before, frozenset(called.get(id, ())))
        for member in node.spec.chain:
            for found in member.stage_type.examine_surroundings(member.options, around):
                _report(member, found, findings)


def _is_content(stage_type: type[Stage[Any]]) -> bool:
    """Whether a stage works wherever it stands."""
    return stage_type.examine_surroundings.__func__ is Stage.examine_surroundings.__func__  # type: ignore[attr-defined]


def _types(graph: Graph, id: str) -> tuple[type[Stage[Any]], ...]:
    return tuple(member.stage_type for member in graph.nodes[id].spec.chain)


def _upstream(graph: Graph, id: str) -> list[str]:
    """Return the stages whose audio reaches one, nearest first; of very many, the nearest."""
    seen = {id: None}
    waiting = deque(graph.nodes[id].inputs)
    while waiting and len(seen) <= MOST_BEFORE:
        each = waiting.popleft()
        if each not in seen:
            seen[each] = None
            waiting += graph.nodes[each].inputs
    return [*seen][1:]


def _report(stage: StageSpec, found: Finding, findings: Findings) -> None:
    span = option_span(stage, found.option)
    help = found.help
    if found.above and all(ref.span == stage.span for ref in stage.inputs):  # without `from:`
        help = above(stage.span, found.above, "put one above it: `{}`", findings)
    if found.status == "wrong":
        findings.error("E212", found.message, span, help=help)
    elif found.status == "odd":
        findings.warning("E213", found.message, span, help=help)
