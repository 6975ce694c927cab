"""What there is to draw: stages, the edges between them, and what events set off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe.running.plan import make_plan
from rtpipe.stage import family
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from rtpipe.language.loading import Loaded
    from rtpipe.language.spec import ActionCall, RouteSpec, StageSpec
    from rtpipe.running.plan import Edge


@dataclass(frozen=True, slots=True)
class StageFacts:
    """A stage.

    Attributes:
        id: Its id.
        kind: Its kind.
        family: Which of the five kinds of stage it is.
        label: What it is called in a picture.
        inputs: Ids of the stages it reads.
        fallbacks: The kinds that take its place, in order.
        on_error: What happens when it fails: "fail", "drop" or "restart".
    """

    id: str
    kind: str
    family: str
    label: str
    inputs: tuple[str, ...]
    fallbacks: tuple[str, ...]
    on_error: str


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """An edge.

    Attributes:
        feeder: Id of the stage read.
        reader: Id of the stage that reads.
        inlet: Which of the reader's inputs this is, from 0.
        max_ms: What the queue on it holds (ms); None: the reader runs inline.
        when_full: What becomes of audio that the queue has no room for.
        converts: The format that it is converted to, in words; "" where it stays as it is.
        frame_ms: The length that its frames are cut to (ms); None: any.
    """

    feeder: str
    reader: str
    inlet: int
    max_ms: float | None
    when_full: str
    converts: str
    frame_ms: float | None

    def words(self) -> str:
        """Return what stands on the edge; "" for nothing."""
        parts = []
        if self.max_ms is not None:
            parts.append(f"queue {self.max_ms:g} ms {self.when_full}")
        if self.converts:
            parts.append(f"as {self.converts}")
        if self.frame_ms is not None:
            parts.append(f"{self.frame_ms:g} ms frames")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What some events set off.

    Attributes:
        match: Their types, by name or glob; empty for all.
        source: Id of the stage whose events alone count; "" for any.
        where: Fields that they must have.
        actions: What is done, as `do:` has it.
        subscriber: The kind that hears them; "" where there is none.
        fallbacks: The kinds that take its place.
    """

    match: tuple[str, ...]
    source: str
    where: tuple[tuple[str, Any], ...]
    actions: tuple[str, ...]
    subscriber: str
    fallbacks: tuple[str, ...]

    def when(self) -> str:
        """Return which events they are."""
        text = ", ".join(self.match) or "*"
        if self.source:
            text += f" of {self.source}"
        if self.where:
            text += f" where {', '.join(f'{name}: {value}' for name, value in self.where)}"
        return text

    def then(self) -> str:
        """Return what they set off."""
        if not self.subscriber:
            return ", ".join(self.actions)
        return ", else ".join((self.subscriber, *self.fallbacks))


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it: the stages in order, each after what it reads."""

    name: str
    stages: tuple[StageFacts, ...]
    edges: tuple[EdgeFacts, ...]
    routes: tuple[RouteFacts, ...]


def facts_of(loaded: Loaded) -> Facts:
    """Return what there is to draw of a pipeline."""
    plan = make_plan(loaded.graph)
    edges = (edge for edges in plan.edges.values() for edge in edges)
    return Facts(
        loaded.spec.name,
        tuple(_stage(node.spec, node.inputs) for node in loaded.graph.nodes.values()),
        tuple(map(_edge, edges)),
        tuple(map(_route, loaded.spec.routes)),
    )


def _stage(spec: StageSpec, inputs: tuple[str, ...]) -> StageFacts:
    return StageFacts(
        spec.id,
        spec.kind,
        family(spec.stage_type),
        spec.label or (spec.id if spec.id == spec.kind else f"{spec.id}: {spec.kind}"),
        inputs,
        tuple(other.kind for other in spec.chain[1:]),
        type(spec.on_error).__name__.lower(),
    )


def _edge(edge: Edge) -> EdgeFacts:
    target, policy = edge.target, edge.policy
    converts = target is not None and (target.sample_rate or target.layout)
    return EdgeFacts(
        edge.feeder,
        edge.reader,
        edge.inlet,
        None if policy is None else policy.max_ms,
        "" if policy is None else str(policy.when_full),
        str(target) if converts else "",
        edge.exact_ms,
    )


def _route(route: RouteSpec) -> RouteFacts:
    chain = () if route.subscriber is None else route.subscriber.chain
    kinds = [each.kind for each in chain]
    return RouteFacts(
        route.match,
        route.source or "",
        tuple(route.where.items()),
        tuple(map(_action, route.actions)),
        kinds[0] if kinds else "",
        tuple(kinds[1:]),
    )


def _action(call: ActionCall) -> str:
    given = [snippet(value) for value in call.args]
    given += [f"{name}={snippet(value)}" for name, value in call.kwargs.items()]
    return f"{call.stage}.{call.name}" + (f"({', '.join(given)})" if given else "")
