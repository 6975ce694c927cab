"""What each stage has around it, and what it finds wrong with that. Knows no kind by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.examination import Surroundings
from rtpipe.language.examining import option_span
from rtpipe.language.line_edits import above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.examination import Finding
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.stage import Stage
    from rtpipe.wording.diagnostics import Findings


def examine_surroundings(graph: Graph, findings: Findings) -> None:
    """Let every stage say whether it can do its work where it stands.

    Args:
        graph: A pipeline that holds.
        findings: Takes what is found.
    """
    for id, node in graph.nodes.items():
        called = {
            call.name
            for route in graph.pipeline.routes
            for call in route.actions
            if call.stage == id
        }
        before = {each: _types(graph, each) for each in _upstream(graph, id)}
        around = Surroundings(before, frozenset(called))
        for member in node.spec.chain:
            for found in member.stage_type.examine_surroundings(member.options, around):
                _report(member, found, findings)


def _types(graph: Graph, id: str) -> tuple[type[Stage[Any]], ...]:
    return tuple(member.stage_type for member in graph.nodes[id].spec.chain)


def _upstream(graph: Graph, id: str) -> Iterator[str]:
    """Yield the stages whose audio reaches one, nearest first."""
    seen: list[str] = [id]
    for each in seen:
        seen += (other for other in graph.nodes[each].inputs if other not in seen)
    yield from seen[1:]


def _report(stage: StageSpec, found: Finding, findings: Findings) -> None:
    span = option_span(stage, found.option)
    help = found.help
    if found.above and all(ref.span == stage.span for ref in stage.inputs):  # without `from:`
        help = above(stage.span, found.above, "put one above it: `{}`", findings)
    if found.status == "wrong":
        findings.error("E212", found.message, span, help=help)
    elif found.status == "odd":
        findings.warning("E213", found.message, span, help=help)
