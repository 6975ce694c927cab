"""The graph as JSON, values with types of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe.cli.drawing.facts import Facts


def draw(facts: Facts) -> str:
    """Return the document."""
    stages: list[dict[str, Any]] = [
        {
            "id": stage.id,
            "kind": stage.kind,
            "family": stage.family,
            "label": stage.label,
            "inputs": list(stage.inputs),
            "fallbacks": list(stage.fallbacks),
            "on_error": stage.on_error,
        }
        for stage in facts.stages
    ]
    edges: list[dict[str, Any]] = [
        {
            "from": edge.feeder,
            "to": edge.reader,
            "inlet": edge.inlet,
            "queue": None
            if edge.max_ms is None
            else {"max_ms": edge.max_ms, "when_full": edge.when_full},
            "format": edge.converts or None,
            "frame_ms": edge.frame_ms,
        }
        for edge in facts.edges
    ]
    routes: list[dict[str, Any]] = [
        {
            "match": list(route.match),
            "from": route.source or None,
            "where": dict(route.where),
            "do": list(route.actions),
            "subscriber": route.subscriber or None,
            "fallbacks": list(route.fallbacks),
        }
        for route in facts.routes
    ]
    report = {"name": facts.name, "stages": stages, "edges": edges, "events": routes}
    return json.dumps(report, indent=2, ensure_ascii=False)
