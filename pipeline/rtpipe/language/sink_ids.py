"""Options that name a sink (`SinkId`): is there one of that id?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.fields import inside, names_a_sink
from rtpipe.language.nodes import ListNode, MapNode, Node, unresolved
from rtpipe.wording.diagnostics import did_you_mean, listed, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtpipe.language.edges import Vertex
    from rtpipe.language.nodes import ScalarNode
    from rtpipe.wording.diagnostics import Findings


def check_sink_ids(
    options: Iterable[tuple[str, MapNode, type[Any]]],
    vertices: Iterable[Vertex],
    findings: Findings,
) -> None:
    """Report every option that should name a sink that takes part, and does not.

    Args:
        options: A kind, what it was given, and its model.
        vertices: The stages of the pipeline.
        findings: Takes the problems.
    """
    known = {vertex.id: vertex for vertex in vertices}
    taking_part = (each for each in known.values() if each.family == "sink" and each.enabled)
    sinks = dict.fromkeys(each.id for each in taking_part)
    unclear = dict.fromkeys(id for id, vertex in known.items() if vertex.family is None)
    for kind, node, model in options:
        for name, value in _named(node, model):
            id = str(value.value)
            vertex = known.get(id)
            if vertex is None and suggest(id, unclear):
                continue  # a kind that is misspelt, or this: that was reported
            if id in sinks or (vertex is not None and vertex.family is None):
                continue
            if vertex is None:
                problem, label = f"`{id}`, which there is not", "unknown id"
            elif not vertex.enabled:
                problem, label = f"`{id}`, which is disabled", "disabled"
            else:
                problem, label = f"`{id}`, a {vertex.family}", "not a sink"
            findings.error(
                "E118",
                f"`{name}` of `{kind}` names {problem}",
                value.span,
                label=label,
                help=did_you_mean(id, sinks)
                or (f"the sinks are {listed(sinks)}" if sinks else "this pipeline has no sink"),
            )


def _named(node: Node, wanted: Any, name: str = "") -> Iterator[tuple[str, ScalarNode]]:
    """Yield each value below `node` that is to be a sink's id, with its option's name."""
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _named(entry.value, inside(wanted, key), key)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _named(item, inside(wanted, index), name)
    elif names_a_sink(wanted) and isinstance(node.value, str) and not unresolved(node):
        yield name, node
