"""The plan: where tasks and queues stand, what is converted, who gets a frame of its own.

Pure. Made to look at a pipeline, and again whenever a fallback takes the place of what the file
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtpipe.bus import Pattern
from rtpipe.catalogue.fields import names_events
from rtpipe.events import event_type
from rtpipe.link import LIVE, PACED, PATIENT, QueuePolicy
from rtpipe.stage import Peer, Sink, Source, Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe.audio import AudioFormat
    from rtpipe.language.graph import Graph, Node
    from rtpipe.language.spec import StageSpec

LIVE_FRAME_MS = 20
BATCH_FRAME_MS = 1000
"""What a frame costs beside its samples is little then, and they still fit into a cache."""


@dataclass(frozen=True, slots=True)
class Edge:
    """How one stage's audio gets to another.

    Attributes:
        feeder: Id of the stage read.
        reader: Id of the stage that reads.
        inlet: Which of the reader's inputs this is, from 0.
        target: The format the reader takes; None: anything.
        exact_ms: Frame length the reader takes; None: any.
        locked: Whether the format must not change once it began.
        policy: The queue between the two; None: the reader runs inline.
        own_copy: Whether the frame is copied, because the reader writes into it and others hold it.
        dates_read: Whether frames say when their source gave them: they are live, and go to a peer,
            which measures.
        dates_queued: Whether frames say when they were queued: they are live, and a peer reads.
    """

    feeder: str
    reader: str
    inlet: int
    target: AudioFormat | None
    exact_ms: float | None
    locked: bool
    policy: QueuePolicy | None
    own_copy: bool
    dates_read: bool
    dates_queued: bool

    @property
    def converts(self) -> bool:
        """Whether a converter stands on this edge."""
        return self.target is not None or self.exact_ms is not None or self.locked


@dataclass(frozen=True, slots=True)
class Plan:
    """How a graph will run.

    Attributes:
        graph: What it was made from.
        used: The stage in each place: the file's, or the fallback that took over.
        edges: By feeder, in file order of the readers.
        frame_ms: Length of the frames that sources without a device make.
        live: Ids whose output keeps coming whether anybody reads it or not.
    """

    graph: Graph
    used: Mapping[str, StageSpec]
    edges: Mapping[str, tuple[Edge, ...]]
    frame_ms: int
    live: frozenset[str]

    def published_after(self, id: str, type: str) -> bool:
        """See `StageContext.published_after`."""
        after = [self.used[each].stage_type for each in self.graph.downstream(id)[1:]]
        told = Pattern(event_type(each) for stage_type in after for each in stage_type.publishes)
        return told.matches(type)


def make_plan(graph: Graph, used: Mapping[str, StageSpec] | None = None) -> Plan:
    """Plan `graph`; `used` names, by id, the stages that differ from the file's."""
    specs = {id: (used or {}).get(id, node.spec) for id, node in graph.nodes.items()}
    live = _live(graph, specs)
    measured = _led_to_peers(graph, specs)
    edges: dict[str, tuple[Edge, ...]] = {}
    shared: dict[str, bool] = {}
    for id, node in graph.nodes.items():
        fans_out = len(node.outputs) > 1
        alone = not fans_out and not _passes_on_shared(node, specs[id], shared)
        shared[id] = not alone
        edges[id] = tuple(
            _edge(graph, specs, id, reader, live=id in live, shared=shared[id], measured=measured)
            for reader in node.outputs
        )
    return Plan(graph, specs, edges, _frame_ms(graph, specs), live)


def runs_inline(spec: StageSpec, *, fuse: bool) -> bool:
    """Return whether a stage is called by whoever feeds it, without a task and queue of its own.

    It keeps its place when a fallback takes over: none of them may need a task then.
    """
    stage_type = spec.stage_type
    return (
        issubclass(stage_type, Transform)
        and fuse
        and spec.queue is None
        and not stage_type.blocking
        and not stage_type.many_inlets
        and (spec.fallback is None or runs_inline(spec.fallback, fuse=fuse))
    )


def _frame_ms(graph: Graph, specs: Mapping[str, StageSpec]) -> int:
    """Return how much audio a source without a device puts into a frame.

    Little where anything has a clock, and where events set anything off: what an action changes, it
    changes between two frames, and a file shall become what a microphone would have.
    """
    paced = any(spec.stage_type.has_clock(spec.options) for spec in specs.values())
    acts = any(route.actions for route in graph.pipeline.routes)
    listens = any(names_events(spec.options) for spec in specs.values())
    return LIVE_FRAME_MS if paced or acts or listens else BATCH_FRAME_MS


def _live(graph: Graph, specs: Mapping[str, StageSpec]) -> frozenset[str]:
    live: set[str] = set()
    for id, node in graph.nodes.items():
        spec = specs[id]
        if issubclass(spec.stage_type, Source):
            is_live = spec.stage_type.has_clock(spec.options)
        else:
            is_live = issubclass(spec.stage_type, Peer) or any(i in live for i in node.inputs)
        if is_live:
            live.add(id)
    return frozenset(live)


def _led_to_peers(graph: Graph, specs: Mapping[str, StageSpec]) -> frozenset[str]:
    """Return the peers, and all whose audio reaches one."""
    found: set[str] = set()
    for id, node in reversed(graph.nodes.items()):
        if issubclass(specs[id].stage_type, Peer) or not found.isdisjoint(node.outputs):
            found.add(id)
    return frozenset(found)


def _passes_on_shared(node: Node, spec: StageSpec, shared: Mapping[str, bool]) -> bool:
    """Return whether what comes out of a stage may be a frame that somebody else holds, too."""
    if not issubclass(spec.stage_type, Transform) or spec.stage_type.mutates:
        return False
    return any(shared[feeder] for feeder in node.inputs)


def _edge(
    graph: Graph,
    specs: Mapping[str, StageSpec],
    feeder: str,
    reader: str,
    *,
    live: bool,
    shared: bool,
    measured: frozenset[str],
) -> Edge:
    spec = specs[reader]
    stage_type: type[Any] = spec.stage_type
    begins = not issubclass(specs[feeder].stage_type, Transform)
    inline = runs_inline(graph.nodes[reader].spec, fuse=graph.pipeline.fuse)
    mutates = issubclass(stage_type, Transform) and stage_type.mutates
    return Edge(
        feeder=feeder,
        reader=reader,
        inlet=graph.nodes[reader].inputs.index(feeder),
        target=stage_type.accepts_for(spec.options),
        exact_ms=stage_type.exact_ms,
        locked=issubclass(stage_type, Sink),
        policy=None if inline else _policy(spec, live=live),
        own_copy=mutates and shared,
        dates_read=live and begins and reader in measured,
        dates_queued=live and issubclass(stage_type, Peer),
    )


def _policy(spec: StageSpec, *, live: bool) -> QueuePolicy:
    if live:
        policy = spec.stage_type.inlet_policy or LIVE
    else:
        policy = PACED if spec.stage_type.has_clock(spec.options) else PATIENT
    if spec.queue is not None:
        policy = replace(
            policy,
            max_ms=spec.queue.max_ms or policy.max_ms,
            when_full=spec.queue.when_full or policy.when_full,
        )
    return policy
