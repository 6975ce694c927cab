"""`rtpipe print` and `rtpipe graph`: a pipeline as rtpipe understands it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from rtpipe.cli.options import PipelineRequest, json_option, pipeline_options, print_json
from rtpipe.errors import printable
from rtpipe.running.plan import make_plan
from rtpipe.stage import family
from rtpipe.wording.flow import block

if TYPE_CHECKING:
    from rtpipe.language.loading import Loaded
    from rtpipe.running.plan import Edge, Plan

_SHAPES = {"source": "([{}])", "transform": "[{}]", "peer": "{{{{{}}}}}", "sink": "[/{}/]"}


@click.command("print")
@json_option
@pipeline_options
def print_(pipeline: PipelineRequest, *, as_json: bool) -> None:
    """Print the file as rtpipe understands it.

    Includes, overlays, the profile and --set are merged, references are filled, secrets masked.
    """
    resolved = pipeline.load().resolved
    if as_json:
        print_json(resolved)
    else:
        click.echo(printable(block(resolved)), nl=False)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "json"]),
    default="text",
    help="What to draw with.",
)
@json_option
@pipeline_options
def graph(pipeline: PipelineRequest, form: str, *, as_json: bool) -> None:
    """Show which stage reads which, and what stands between them: queues and converters."""
    loaded = pipeline.load()
    plan = make_plan(loaded.graph)
    draw = {"text": _text, "mermaid": _mermaid, "dot": _dot, "json": _json}
    click.echo(printable(draw["json" if as_json else form](loaded, plan)))


def draw_text(loaded: Loaded) -> str:
    """Return the graph as text, one stage a line."""
    return _text(loaded, make_plan(loaded.graph))


def _text(loaded: Loaded, plan: Plan) -> str:
    rows: list[tuple[str, str, str]] = []
    by_reader: dict[str, list[Edge]] = {}
    for edge in (edge for edges in plan.edges.values() for edge in edges):
        by_reader.setdefault(edge.reader, []).append(edge)
    for id, node in loaded.graph.nodes.items():
        edges = sorted(by_reader.get(id, ()), key=lambda edge: edge.inlet)
        reads = [f"{edge.feeder}{_between(edge)}" for edge in edges]
        kind = f"{node.spec.kind} ({family(node.spec.stage_type)})"
        if node.spec.fallback is not None:
            kind += f", else {node.spec.fallback.kind}"
        rows.append((id, kind, f"<- {', '.join(reads)}" if reads else ""))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        f"{id:{widths[0]}}  {kind:{widths[1]}}  {reads}".rstrip() for id, kind, reads in rows
    )


def _between(edge: Edge) -> str:
    """Return what stands on an edge, in brackets."""
    parts = []
    if edge.policy is not None:
        parts.append(f"queue {edge.policy.max_ms:g} ms {edge.policy.when_full}")
    target = edge.target
    if target is not None and (target.sample_rate or target.layout):
        parts.append(f"as {target}")
    if edge.exact_ms is not None:
        parts.append(f"{edge.exact_ms:g} ms frames")
    return f" [{'; '.join(parts)}]" if parts else ""


def _mermaid(loaded: Loaded, plan: Plan) -> str:
    lines = ["flowchart LR"]
    for id, node in loaded.graph.nodes.items():
        shape = _SHAPES[family(node.spec.stage_type)]
        label = node.spec.label or (id if id == node.spec.kind else f"{id}: {node.spec.kind}")
        lines.append(f"  {_name(id)}{shape.format(json.dumps(label, ensure_ascii=False))}")
    for edges in plan.edges.values():
        for edge in edges:
            arrow = "-->" if edge.policy is not None else "-.->"
            lines.append(f"  {_name(edge.feeder)} {arrow} {_name(edge.reader)}")
    return "\n".join(lines)


def _name(id: str) -> str:
    """Return an id as Mermaid takes it: `end` and `graph` are words of its own."""
    return f"s_{id}"


def _dot(loaded: Loaded, plan: Plan) -> str:
    lines = ["digraph pipeline {", "  rankdir=LR;", "  node [shape=box];"]
    for id, node in loaded.graph.nodes.items():
        label = node.spec.label or (id if id == node.spec.kind else f"{id}: {node.spec.kind}")
        lines.append(f"  {json.dumps(id)} [label={json.dumps(label, ensure_ascii=False)}];")
    for edges in plan.edges.values():
        for edge in edges:
            style = "" if edge.policy is not None else " [style=dashed]"
            lines.append(f"  {json.dumps(edge.feeder)} -> {json.dumps(edge.reader)}{style};")
    return "\n".join([*lines, "}"])


def _json(loaded: Loaded, plan: Plan) -> str:
    stages: list[dict[str, Any]] = [
        {
            "id": id,
            "kind": node.spec.kind,
            "family": family(node.spec.stage_type),
            "inputs": list(node.inputs),
            "fallback": None if node.spec.fallback is None else node.spec.fallback.kind,
        }
        for id, node in loaded.graph.nodes.items()
    ]
    edges: list[dict[str, Any]] = [
        {
            "from": edge.feeder,
            "to": edge.reader,
            "inlet": edge.inlet,
            "queue": None
            if edge.policy is None
            else {"max_ms": edge.policy.max_ms, "when_full": str(edge.policy.when_full)},
            "format": None if edge.target is None else str(edge.target),
            "frame_ms": edge.exact_ms,
        }
        for edges in plan.edges.values()
        for edge in edges
    ]
    report = {"name": loaded.spec.name, "stages": stages, "edges": edges}
    return json.dumps(report, indent=2, ensure_ascii=False)
