"""The graph of a pipeline: which stage reads which, and in what order they come."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe.language.spec import PipelineSpec, StageSpec


@dataclass(frozen=True, slots=True)
class Node:
    """A stage and its neighbours, by id.

    Attributes:
        spec: The stage as the file has it.
        inputs: Ids it reads, in the order of `from:`.
        outputs: Ids that read it, in file order.
    """

    spec: StageSpec
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline whose edges all lead somewhere and nowhere in a circle.

    Attributes:
        pipeline: What it was made from.
        nodes: By id, each after everything it reads (ties in file order).
    """

    pipeline: PipelineSpec
    nodes: dict[str, Node]

    def downstream(self, id: str) -> list[str]:
        """Return a stage and all that its audio reaches, in order."""
        reached = {id}
        for each, node in self.nodes.items():
            if any(feeder in reached for feeder in node.inputs):
                reached.add(each)
        return [each for each in self.nodes if each in reached]


def build(pipeline: PipelineSpec) -> Graph:
    """Return the graph of a pipeline that was checked."""
    inputs = {stage.id: tuple(ref.id for ref in stage.inputs) for stage in pipeline.stages}
    specs = {stage.id: stage for stage in pipeline.stages}
    outputs: dict[str, dict[str, None]] = {id: {} for id in inputs}
    for id, feeders in inputs.items():
        for feeder in feeders:
            outputs[feeder][id] = None
    nodes = {id: Node(specs[id], inputs[id], tuple(outputs[id])) for id in in_order(inputs)}
    return Graph(pipeline, nodes)


def in_order(inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the ids, each after everything it reads; ties in the given order.

    Ids in a circle, and those after one, come last, in the given order.
    """
    ids = list(inputs)
    readers: dict[str, list[int]] = {id: [] for id in ids}
    missing = [0] * len(ids)
    for index, id in enumerate(ids):
        for other in set(inputs[id]):
            readers[other].append(index)
            missing[index] += 1
    ready = [index for index, count in enumerate(missing) if count == 0]
    placed: dict[str, None] = {}
    while ready:
        id = ids[heapq.heappop(ready)]
        placed[id] = None
        for index in readers[id]:
            missing[index] -= 1
            if missing[index] == 0:
                heapq.heappush(ready, index)
    return list(dict.fromkeys([*placed, *ids]))
