"""The runtime: opens a pipeline's stages, moves their audio, and ends them in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtpipe.bus import Bus, Mailbox
from rtpipe.clock import Clock
from rtpipe.errors import RtpipeError, StageError
from rtpipe.events import (
    LinkFlushed,
    PipelineEnded,
    PipelineStarted,
    PipelineStopping,
    SubscriberOverflowed,
)
from rtpipe.running.chain import Wiring
from rtpipe.running.plan import Plan, make_plan, runs_inline
from rtpipe.running.routes import attend, connect
from rtpipe.running.supervisor import InlineSlot, Slot, Status
from rtpipe.running.tasks import run_peer, run_sink, run_source, run_transform
from rtpipe.stage import FLUSH, Peer, Sink, Source, StageContext, Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rtpipe.audio import AudioFrame
    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import ActionCall, StageSpec
    from rtpipe.link import LinkStatistics

SETTLE_S = 0.5
"""How long sinks may still write after the deadline of a stop has cut off what feeds them."""
SUBSCRIBERS_S = 2.0
"""How long subscribers may take over the last events."""


@dataclass(frozen=True, slots=True)
class StageState:
    """What a running stage looks like from outside.

    Attributes:
        id: The stage.
        kind: What stands there now; a fallback's kind where one took over.
        status: See `Status`.
        gives_stream: Whether a stream begins here: a source or a peer.
        last: The newest frame it gave out or took, for a level.
        links: Its inlets' statistics.
        lost_frames: Frames lost because it failed on them or was not there.
        gauge: How it says that it is doing, in a few words; "" where it says nothing.
    """

    id: str
    kind: str
    status: Status
    gives_stream: bool
    last: AudioFrame | None
    links: tuple[LinkStatistics, ...]
    lost_frames: int
    gauge: str


class Pipeline:
    """A pipeline that can be run once.

    Args:
        graph: What to run.
        check: Assert the rules of frames on every edge; for tests and `--debug`.
    """

    def __init__(self, graph: Graph, *, check: bool = False) -> None:
        self.graph = graph
        self.spec = graph.pipeline
        self.bus = Bus()
        self.clock = Clock()
        self._slots: dict[str, Slot] = {
            id: self._slot(node.spec) for id, node in graph.nodes.items()
        }
        self._subscribers: list[tuple[Slot, Mailbox]] = []
        inline = {id: slot for id, slot in self._slots.items() if isinstance(slot, InlineSlot)}
        self._wiring = Wiring(graph.nodes, inline, self.clock, self.bus.publish, check=check)
        self._feeding: list[asyncio.Task[None]] = []
        self._attending: list[asyncio.Task[None]] = []
        self._stopping: str | None = None
        self._stop_asked = asyncio.Event()
        self._error: RtpipeError | None = None
        self.plan: Plan
        self._replan()
        for route in self.spec.routes:
            mailbox = None
            if route.subscriber is not None:
                mailbox = Mailbox()
                self._subscribers.append((self._slot(route.subscriber), mailbox))
            connect(
                self.bus, route, perform=self.perform, mailbox=mailbox, report=self._publish_own
            )

    # -- from outside ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Open everything, run until every sink has ended, close everything.

        Raises:
            RtpipeError: A stage could not open, or failed while its policy was to fail. Everything
                is closed by then, and what had been recorded is complete.
        """
        reason = "failed"
        try:
            if await self._opened():
                self._publish_own(PipelineStarted(name=self.spec.name))
                await self._move_audio()
            reason = self._stopping or "end of stream"
        except asyncio.CancelledError:
            reason = "cancelled"
            raise
        finally:
            closing = asyncio.ensure_future(self._close(reason))
            while not closing.done():
                try:
                    await asyncio.shield(closing)
                except asyncio.CancelledError:  # asked again to hurry: closing has its own limits
                    continue
        if self._error is not None:
            raise self._error

    def stop(self, reason: str = "stop") -> None:
        """Close the sources and let what is queued drain, at most `drain_s` long."""
        if self._stopping is not None:
            return
        self._stopping = reason
        self._publish_own(PipelineStopping(reason=reason))
        for slot in self._slots.values():
            slot.ctx.stopping = True
        self._stop_asked.set()

    def perform(self, call: ActionCall) -> object:
        """Carry out a stage's action; `flush` is one that every stage has."""
        if call.name == FLUSH.name:
            return self.flush(call.stage)
        slot = self._slots[call.stage]
        if slot.status is not Status.OK:
            raise StageError(f"{call.stage} is {slot.status.value}")
        action = type(slot.stage).actions().get(call.name)
        if action is None:
            raise StageError(f"{slot.used.kind} has no action `{call.name}`")
        return getattr(slot.stage, action.method)(*call.args, **call.kwargs)

    def flush(self, id: str) -> float:
        """Drop what is buffered in stage `id` and after it; returns the milliseconds dropped."""
        return self._flush(id, self._downstream(id))

    def _flush(self, id: str, stages: list[str]) -> float:
        flushed = 0.0
        for reached in stages:
            slot = self._slots[reached]
            if slot.status is not Status.OK:
                continue
            if isinstance(slot.stage, Sink) and not slot.stage.flushable:
                continue
            flushed += self._wiring.flush(reached)
            slot.stage.reset()
        self.bus.publish(LinkFlushed(source=id, at=self.clock.now(), flushed_ms=round(flushed, 3)))
        return flushed

    def state(self) -> list[StageState]:
        """Return what every stage looks like now, in the order of the graph."""
        return [
            StageState(
                id,
                slot.used.kind,
                slot.status,
                issubclass(slot.used.stage_type, (Source, Peer)),
                slot.last,
                tuple(link.snapshot() for link in self._wiring.inlets(id)),
                slot.lost_frames,
                slot.gauge(),
            )
            for id, slot in self._slots.items()
        ]

    # -- opening ---------------------------------------------------------------------------------

    def _slot(self, spec: StageSpec) -> Slot:
        inputs = tuple(ref.id for ref in spec.inputs)
        ctx = StageContext(
            spec.id,
            self.clock,
            self.bus.publish,
            self.bus.subscribe,
            inputs,
            self._tap,
            lambda: self._flush(spec.id, self._downstream(spec.id)[1:]),
        )
        place = InlineSlot if runs_inline(spec, fuse=self.spec.fuse) else Slot
        return place(
            spec,
            ctx,
            mask=self.spec.masked,
            on_failure=self._on_failure,
            on_replaced=self._replan,
        )

    def _replan(self) -> None:
        """Go by what stands in each place now: at first the file's, later the fallbacks'."""
        self.plan = make_plan(self.graph, {id: slot.used for id, slot in self._slots.items()})
        for id, slot in self._slots.items():
            slot.ctx.frame_ms = self.plan.frame_ms
            slot.ctx.live = any(feeder in self.plan.live for feeder in self.graph.nodes[id].inputs)
        self._wiring.follow(self.plan)

    async def _opened(self) -> bool:
        """Open everything; return False when a stop came first."""
        opening = asyncio.create_task(self._open())
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait([opening, stop_asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = opening.done()
            for task in (opening, stop_asked):
                task.cancel()
            await asyncio.wait([opening, stop_asked])
        if finished:
            opening.result()
        return finished

    async def _open(self) -> None:
        for slot, mailbox in self._subscribers:
            await self._open_slot(slot)
            self._attending.append(asyncio.create_task(attend(slot, mailbox), name=slot.spec.id))
        # Sinks and peers before sources, so that speech during call set-up is not heard late.
        by_depth = reversed(list(self._slots.values()))
        for slot in sorted(by_depth, key=lambda slot: issubclass(slot.spec.stage_type, Source)):
            await self._open_slot(slot)

    @staticmethod
    async def _open_slot(slot: Slot) -> None:
        try:
            await slot.open()
        except RtpipeError as error:
            raise slot.wrapped(error) from error

    # -- running ---------------------------------------------------------------------------------

    async def _move_audio(self) -> None:
        tasks = {
            asyncio.create_task(self._task(id, slot), name=id): slot
            for id, slot in self._slots.items()
            if not isinstance(slot, InlineSlot)
        }
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        ended = asyncio.create_task(asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))
        try:
            await asyncio.wait([ended, stop_asked], return_when=asyncio.FIRST_COMPLETED)
            if not all(task.done() for task in tasks):
                await self._drain(tasks)
        finally:
            everything: list[asyncio.Task[Any]] = [*tasks, ended, stop_asked]
            for task in everything:
                task.cancel()
            await asyncio.gather(*everything, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _task(self, id: str, slot: Slot) -> Coroutine[Any, Any, None]:
        stage_type = slot.used.stage_type
        inlets, outlet = self._wiring.inlets(id), self._wiring.outlets[id]
        if issubclass(stage_type, Source):
            live = id in self.plan.live
            return run_source(slot, outlet, live=live, feeding=self._feeding.append)
        if issubclass(stage_type, Transform):
            return run_transform(slot, inlets, outlet)
        if issubclass(stage_type, Peer):
            return run_peer(slot, inlets[0], outlet, self.clock)
        return run_sink(slot, inlets)

    async def _drain(self, tasks: dict[asyncio.Task[None], Slot]) -> None:
        """End the sources; after the deadline cut off what feeds the sinks, then the sinks."""
        for task in self._feeding:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=self.spec.drain_s)
        for task in late:
            if not issubclass(tasks[task].used.stage_type, Sink):
                task.cancel()
        for slot in self._slots.values():
            self._cut_off(slot)
        if late:
            await asyncio.wait(late, timeout=SETTLE_S)

    def _cut_off(self, slot: Slot) -> None:
        for link in self._wiring.inlets(slot.spec.id):
            link.close()

    # -- closing ---------------------------------------------------------------------------------

    async def _close(self, reason: str) -> None:
        for slot in self._slots.values():
            await slot.close()
        self._publish_own(PipelineEnded(reason=reason))
        for slot, mailbox in self._subscribers:
            if mailbox.lost:
                slot.ctx.publish(SubscriberOverflowed(lost=mailbox.lost))
        for _, mailbox in self._subscribers:
            mailbox.close()
        if self._attending:
            _, late = await asyncio.wait(self._attending, timeout=SUBSCRIBERS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._attending, return_exceptions=True)
        for slot, _ in self._subscribers:
            await slot.close_instance()

    # -- small parts -----------------------------------------------------------------------------

    def _tap(self, id: str, handler: Callable[[AudioFrame], None]) -> Callable[[], None]:
        slot = self._slots.get(id)
        if slot is None or isinstance(slot, InlineSlot) or not slot.spec.inputs:
            raise StageError(
                f"there is no `{id}` to listen to", help="name a stage that has an inlet: a sink"
            )
        taps = slot.ctx.taps
        taps.append(handler)
        return lambda: taps.remove(handler) if handler in taps else None

    def _on_failure(self, slot: Slot, error: RtpipeError) -> None:
        """Remember the first failure and end in order: the recording must be complete."""
        if self._error is None:
            self._error = error
        self.stop(f"{slot.spec.id} failed")

    def _publish_own(self, event: Event) -> None:
        self.bus.publish(replace(event, source=event.source or "pipeline", at=self.clock.now()))

    def _downstream(self, id: str) -> list[str]:
        reached = {id}
        for each, node in self.graph.nodes.items():
            if any(feeder in reached for feeder in node.inputs):
                reached.add(each)
        return [each for each in self.graph.nodes if each in reached]
