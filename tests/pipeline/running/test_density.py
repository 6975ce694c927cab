"""What a pipeline costs while it runs beside many others."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref

import pytest

from helpers import actors
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual

PIPELINES = 20
TEXT = "version: 1\nstages:\n  - ramp: {frames: 100000, live: true}\n"
TEXT += "  - plus: 1\n" * 6 + "  - collect\n"


def loaded() -> Pipeline:
    registry = actors.registry()
    return Pipeline(from_text(TEXT, registry=registry).graph, registry=registry)


@pytest.mark.slow
def test_a_pipeline_takes_less_than_50_kb() -> None:
    taken = 0

    async def main() -> None:
        nonlocal taken
        first = loaded()
        running = [asyncio.create_task(first.run())]
        await asyncio.sleep(0.1)  # what all share is there
        gc.collect()
        tracemalloc.start()
        pipelines = [loaded() for _ in range(PIPELINES)]
        running += [asyncio.create_task(pipeline.run()) for pipeline in pipelines]
        await asyncio.sleep(0.1)
        actors.heard.clear()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for pipeline in (first, *pipelines):
            pipeline.stop()
        await asyncio.gather(*running)

    run_virtual(main())
    assert taken / PIPELINES < 50_000, taken / PIPELINES


def test_a_running_pipeline_lets_go_of_the_registry_and_of_the_text() -> None:
    async def main() -> None:
        registry = actors.registry()
        gone = weakref.ref(registry)
        pipeline = Pipeline(from_text(TEXT, registry=registry).graph, registry=registry)
        del registry
        running = asyncio.create_task(pipeline.run())
        await asyncio.sleep(0.1)
        gc.collect()
        assert gone() is None
        assert all(stage.written is None for stage in pipeline.spec.stages)
        pipeline.stop()
        await running

    run_virtual(main())


def test_pipelines_wake_up_together_and_once_a_tick() -> None:
    ticks: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        running = []
        for number in range(PIPELINES):
            pipeline = loaded()
            pipeline.tap_output("ramp", lambda _: ticks.append(loop.time()))
            running.append((pipeline, asyncio.create_task(pipeline.run())))
            await asyncio.sleep(0.0007 * number)
        await asyncio.sleep(1)
        for pipeline, task in running:
            pipeline.stop()
            await task

    run_virtual(main())
    assert {round(tick / 0.02, 6) % 1 for tick in ticks} == {0.0}
    assert len(ticks) > 40 * PIPELINES
