"""What a running pipeline is made of, for whoever shows it: options, actions, links, converters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe.audio import duration_ms
from rtpipe.formats import AudioFormat
from rtpipe.language.spec import describe
from rtpipe.running.state import Status
from rtpipe.stage import family, offered_actions, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rtpipe.actions import ActionSpec
    from rtpipe.audio import AudioFrame
    from rtpipe.language.graph import Node
    from rtpipe.link import Link, LinkStatistics
    from rtpipe.running.plan import Edge, Plan
    from rtpipe.running.supervisor import Slot


@dataclass(frozen=True, slots=True)
class StageDescription:
    """One stage of a running pipeline: what does not change while the same one stands there.

    Attributes:
        id: The stage.
        kind: What stands there now.
        family: source, transform, peer or sink.
        summary: What that is, in a sentence.
        wanted: What the file asks for where a fallback took over, shortened; "" where none did.
        inputs: Ids of the stages it reads, in the order of `from:`.
        options: Its options as JSON-ready values, secrets masked.
        actions: What can be done with it, by name.
    """

    id: str
    kind: str
    family: str
    summary: str
    wanted: str
    inputs: tuple[str, ...]
    options: Mapping[str, Any]
    actions: Mapping[str, ActionSpec]


@dataclass(frozen=True, slots=True)
class LinkState:
    """One media edge of a running pipeline, as it is now.

    Attributes:
        feeder: Id of the stage read.
        reader: Id of the stage that reads.
        inlet: Which of the reader's inputs this is, from 0.
        converts: What a converter does here to the newest frame, in words; "" where there is none
            or it has nothing to do.
        max_ms: How much its queue holds (ms); None: the reader runs inline.
        statistics: What became of the frames in its queue; None: the reader runs inline.
    """

    feeder: str
    reader: str
    inlet: int
    converts: str
    max_ms: float | None
    statistics: LinkStatistics | None


def described(slot: Slot, node: Node, mask: Callable[[str], str]) -> StageDescription:
    """Return what stands in `slot`, secrets taken out by `mask`."""
    used = slot.used
    return StageDescription(
        slot.spec.id,
        used.kind,
        family(used.stage_type),
        summary(used.stage_type),
        "" if used is slot.spec else mask(describe(slot.spec)),
        node.inputs,
        _masked(used.options.model_dump(mode="json"), mask),
        offered_actions(used.stage_type),
    )


def refusals(slot: Slot) -> dict[str, str]:
    """Return why an action cannot be done now, by its name; those that can are left out."""
    names = offered_actions(slot.used.stage_type)
    if slot.status is not Status.OK:
        return dict.fromkeys(names, f"it is {slot.status.value}")
    return {name: why for name in names if (why := _why_not(slot, name))}


def link_states(
    plan: Plan, slots: Mapping[str, Slot], inlets: Callable[[str], Sequence[Link]]
) -> list[LinkState]:
    """Return what the edges of `plan` look like now.

    Args:
        plan: How the pipeline runs.
        slots: Its stages by id.
        inlets: Returns the queues that a stage reads.
    """
    edges = (edge for edges in plan.edges.values() for edge in edges)
    return [_link_state(edge, slots[edge.feeder].last, inlets(edge.reader)) for edge in edges]


def _link_state(edge: Edge, newest: AudioFrame | None, inlets: Sequence[Link]) -> LinkState:
    link = None if edge.policy is None else inlets[edge.inlet]
    return LinkState(
        edge.feeder,
        edge.reader,
        edge.inlet,
        "" if newest is None else _conversion(edge, newest),
        None if link is None else link.policy.max_ms,
        None if link is None else link.snapshot(),
    )


def _why_not(slot: Slot, action: str) -> str:
    try:
        return f"{slot.stage.why_not(action)}"
    except Exception as error:  # a plugin may raise anything; whoever looks goes on
        slot.ctx.log.debug("why_not(%r) failed", action, exc_info=error)
        return ""


def _conversion(edge: Edge, frame: AudioFrame) -> str:
    """Return what the converter on `edge` changes about `frame`."""
    comes = AudioFormat.of(frame)
    goes = comes if edge.target is None else edge.target.completed(comes)
    said = []
    if goes.sample_rate != comes.sample_rate:
        rates = [(rate or 0) / 1000 for rate in (comes.sample_rate, goes.sample_rate)]
        said.append(f"{rates[0]:g} → {rates[1]:g} kHz")
    if goes.layout != comes.layout:
        said.append(f"{comes.layout} → {goes.layout}")
    if goes.format != comes.format:
        said.append(f"{comes.format} → {goes.format}")
    if edge.exact_ms is not None and duration_ms(frame) != edge.exact_ms:
        said.append(f"{edge.exact_ms:g} ms frames")
    return ", ".join(said)


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_masked(each, mask) for each in value]
    if isinstance(value, dict):
        return {key: _masked(each, mask) for key, each in value.items()}
    return value
