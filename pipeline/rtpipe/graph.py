"""The graph of a pipeline: which stage reads which, in what order they come, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe.spec import PipelineSpec, StageSpec


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
