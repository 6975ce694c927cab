"""Any pipeline becomes any other, and each frame came out of its queue or is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.actors import heard, loads
from rtpipe import Pipeline
from rtpipe.events import Event
from rtpipe.testing import run_virtual

KINDS = ("plus", "twice", "fault", "ponder", "queued")


@st.composite
def pipelines(draw: st.DrawFn) -> str:
    """Return a small valid pipeline: a line of transforms with sinks that branch off it."""
    lines = ["version: 1", "stages:", "  - ramp: {live: true, frames: 60}"]
    ids = ["ramp"]
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=3, unique=True)):
        name = "fault" if kind == "queued" else kind
        lines.append(
            "  - ponder" if kind == "ponder" else f"  - {name}: {draw(st.integers(1000, 1001))}"
        )
        lines.append(f"    id: {kind}")
        if kind == "ponder":
            lines[-2] = "  - ponder:"
        if kind == "queued":
            lines.append("    queue: {max_ms: 200}")
        ids.append(kind)
    for index in range(draw(st.integers(1, 3))):
        lines.append(f"  - collect: {draw(st.sampled_from([0.0, 0.001]))}")
        lines += [f"    id: sink{index}", f"    from: {draw(st.sampled_from(ids))}"]
    unread = set(ids) - {line.split(": ")[1] for line in lines if "from: " in line}
    if ids[-1] in unread:
        lines += ["  - collect:", "    id: last", f"    from: {ids[-1]}"]
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(first=pipelines(), second=pipelines(), third=pipelines())
def test_any_pipeline_becomes_any_other(first: str, second: str, third: str) -> None:
    """After it the new graph runs, and each frame came out of its queue or is counted."""
    links: dict[int, Any] = {}

    async def run() -> None:
        heard.clear()
        pipeline = loads(first)
        events: list[Event] = []
        pipeline.bus.subscribe("*", events.append)
        note_links(pipeline, links)
        running = asyncio.create_task(pipeline.run())
        for text in (second, third):
            await asyncio.sleep(0.307)
            graph = loads(text).graph
            await pipeline.apply(graph)
            note_links(pipeline, links)
            assert list(pipeline.graph.nodes) == list(graph.nodes)
            assert [stage.id for stage in pipeline.state()] == list(graph.nodes)
            assert not pipeline.plan_for(graph).differences
            fresh = loads(text)
            assert pipeline.plan.edges == fresh.plan.edges
        await running
        assert not [event for event in events if event.type == "stage.failed"]

    run_virtual(run())
    for link in links.values():
        seen = link.snapshot()
        lost = seen.frames_dropped + seen.frames_trimmed + seen.frames_flushed
        assert seen.frames_in == seen.frames_out + lost + seen.frames_waiting
        assert seen.frames_refused == 0 or "twice" in first + second, link.name
        assert seen.frames_waiting == 0, link.name
        assert lost == 0, link.name


def note_links(pipeline: Pipeline, links: dict[int, Any]) -> None:
    for stage in pipeline.graph.nodes:
        for link in pipeline._wiring.inlets(stage):
            links[id(link)] = link
