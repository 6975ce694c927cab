"""Places: a slot and a context for each stage of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.running.inline import InlineSlot
from rtpipe.running.plan import runs_inline
from rtpipe.running.supervisor import Slot
from rtpipe.stage import StageContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.bus import Bus
    from rtpipe.clock import Clock
    from rtpipe.errors import RtpipeError
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.stage import Tap


def slot_maker(
    graph: Graph,
    bus: Bus,
    clock: Clock,
    *,
    tap: Tap,
    flush_after: Callable[[str], float],
    published_after: Callable[[str, str], bool],
    on_failure: Callable[[Slot, RtpipeError], None],
    on_replaced: Callable[[], None],
) -> Callable[[StageSpec], Slot]:
    """Return what makes the place of a stage or a subscriber of `graph`.

    All places share the bound methods that they are given: one each would be a third of a place.

    Args:
        graph: The pipeline's.
        bus: Where stages publish and listen.
        clock: Their time.
        tap: See `StageContext.tap`.
        flush_after: See `StageContext.flush_after`.
        published_after: See `StageContext.published_after`.
        on_failure: See `Slot`.
        on_replaced: See `Slot`.
    """
    pipeline = graph.pipeline
    publish, subscribe, mask = bus.publish, bus.subscribe, pipeline.masked

    def slot(spec: StageSpec) -> Slot:
        node = graph.nodes.get(spec.id)  # a subscriber has none
        inputs = () if node is None else node.inputs
        ctx = StageContext(
            spec.id, clock, publish, subscribe, inputs, tap, flush_after, published_after
        )
        ctx.env_names = pipeline.env_names
        place = InlineSlot if runs_inline(spec, fuse=pipeline.fuse) else Slot
        return place(spec, ctx, mask=mask, on_failure=on_failure, on_replaced=on_replaced)

    return slot
