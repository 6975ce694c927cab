"""Places: a slot and a context for each stage of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.running.inline import InlineSlot
from rtpipe.running.plan import runs_inline
from rtpipe.running.supervisor import Slot
from rtpipe.stage import StageContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe.bus import Bus
    from rtpipe.clock import Clock
    from rtpipe.errors import RtpipeError
    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.running.plan import Plan
    from rtpipe.stage import Tap


class Places:
    """Makes the places of a pipeline's stages and subscribers.

    All places share the bound methods that they are given: one each would be a third of a place.

    Args:
        bus: Where stages publish and listen.
        clock: Their time.
        tap: See `StageContext.tap`.
        flush_after: See `StageContext.flush_after`.
        published_after: See `StageContext.published_after`.
        on_failure: See `Slot`.
        on_replaced: See `Slot`.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        tap: Tap,
        flush_after: Callable[[str], float],
        published_after: Callable[[str, str], bool],
        on_failure: Callable[[Slot, RtpipeError], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._tap = tap
        self._flush_after = flush_after
        self._published_after = published_after
        self._on_failure = on_failure
        self._on_replaced = on_replaced
        self._publish, self._subscribe = bus.publish, bus.subscribe

    def make(
        self, graph: Graph, spec: StageSpec, publish: Callable[[Event], None] | None = None
    ) -> Slot:
        """Return the place of a stage or a subscriber of `graph`.

        Args:
            graph: What it belongs to.
            spec: The stage.
            publish: Takes what it has to tell; None: the bus does.
        """
        pipeline, node = graph.pipeline, graph.nodes.get(spec.id)  # a subscriber has none
        ctx = StageContext(
            spec.id,
            self._clock,
            publish or self._publish,
            self._subscribe,
            () if node is None else node.inputs,
            self._tap,
            self._flush_after,
            self._published_after,
        )
        ctx.env_names = pipeline.env_names
        place = InlineSlot if runs_inline(spec, fuse=pipeline.fuse) else Slot
        on_failure, on_replaced = self._on_failure, self._on_replaced
        mask = pipeline.masked
        return place(spec, ctx, mask=mask, on_failure=on_failure, on_replaced=on_replaced)


def place_in(plan: Plan, slots: Mapping[str, Slot]) -> None:
    """Let stages know what they are told of the plan that they stand in."""
    for id, slot in slots.items():
        inputs = plan.graph.nodes[id].inputs
        slot.ctx.inputs = inputs
        slot.ctx.frame_ms = plan.frame_ms
        slot.ctx.live = any(feeder in plan.live for feeder in inputs)
