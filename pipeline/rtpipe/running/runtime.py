"""The runtime: opens a pipeline's stages, moves their audio, and ends them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from rtpipe.bus import Bus
from rtpipe.catalogue.claims import unasked
from rtpipe.clock import Clock
from rtpipe.errors import RtpipeError, StageError
from rtpipe.events import LinkFlushed, PipelineEnded, PipelineStarted, PipelineStopping
from rtpipe.language.calls import checked, unknown_stage_help
from rtpipe.running.background import begin, done_before
from rtpipe.running.description import described, link_states, refusals
from rtpipe.running.extensions import Extension, failure
from rtpipe.running.inline import InlineSlot
from rtpipe.running.places import Places, place_in
from rtpipe.running.plan import Plan, make_plan
from rtpipe.running.reload.exchange import Machinery
from rtpipe.running.reload.reloader import Reloader
from rtpipe.running.routes import Routes, Subscription
from rtpipe.running.state import Status, state_of
from rtpipe.running.tasks import StageTasks
from rtpipe.running.wiring import Wiring
from rtpipe.stage import FLUSH, Sink, Source, offered_actions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.loading import Loaded
    from rtpipe.running.description import LinkState, StageDescription
    from rtpipe.running.reload.change_plan import ChangePlan
    from rtpipe.running.state import StageState
    from rtpipe.running.supervisor import Slot
    from rtpipe.wording.diagnostics import Diagnostic

SETTLE_S = 0.5
"""How long sinks may still write after the deadline of a stop has cut off what feeds them."""


class Pipeline:
    """A pipeline that can be run once.

    `async with pipeline:` runs it while the block lasts; see `rtpipe.load` and `rtpipe.loads`.

    Args:
        graph: What to run.
        check: Assert the rules of frames on every edge; for tests and `--debug`.
        registry: Whose plugins extend it while it runs (`rtpipe_running`); None: nobody does.
        run_options: The values of the options that plugins add to `rtpipe run`; None: defaults.
        warnings: What is odd about its file but not wrong.

    Attributes:
        spec: The checked file.
        bus: Where the events come by.
        clock: The pipeline's time.
        sections: The top-level keys that plugins added to the file: each one's validated model, or
            None where the file lacks it.
        run_options: What the options that plugins added to `rtpipe run` say, by name.
        plan: Where its tasks, queues, converters and copies stand.
        loader: Reads its files again, as at the start; None: nobody can. Runs in a thread.
    """

    loader: Callable[[], Loaded] | None = None

    def __init__(
        self,
        graph: Graph,
        *,
        check: bool = False,
        registry: Registry | None = None,
        run_options: Mapping[str, Any] | None = None,
        warnings: Sequence[Diagnostic] = (),
    ) -> None:
        self.graph = graph
        self.warnings = tuple(warnings)
        self.spec = graph.pipeline
        self.bus = Bus()
        self.clock = Clock()
        self.sections = self.spec.sections
        if run_options is None:
            run_options = unasked(registry.run_options()) if registry is not None else {}
        self.run_options = run_options
        self._registry = registry
        self._extensions: list[Extension] = []
        self._places = Places(
            self.bus,
            self.clock,
            tap=self._tap,
            flush_after=lambda stage: self._flush(stage, self.graph.downstream(stage)[1:]),
            published_after=lambda id, event: self.plan.published_after(id, event),  # noqa: PLW0108, A006 - the plan of then
            on_failure=self._on_failure,
            on_replaced=self._replan,
        )
        self._slots = {id: self._places.make(graph, node.spec) for id, node in graph.nodes.items()}
        self._routes = Routes(self.bus, self.perform, self._publish_own)
        inline = {id: slot for id, slot in self._slots.items() if isinstance(slot, InlineSlot)}
        self._wiring = Wiring(graph.nodes, inline, self.clock, self.bus.publish, check=check)
        self._tasks = StageTasks(self._wiring, self.clock, self._end)
        self._stopping: str | None = None
        self._over: asyncio.Future[None] | None = None  # done by a stop, or the end of the audio
        self._started: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended = False
        self._error: RtpipeError | None = None
        parts = (self.bus, self._places, self._wiring, self._tasks, self._routes, self._stand)
        machinery = Machinery(*parts)
        self._reloader = Reloader(machinery, lambda: (self.graph, self._slots), self._publish_own)
        self.plan: Plan
        self._replan()
        for route in self.spec.routes:
            of = route.subscriber
            made = None if of is None else Subscription(self._places.make(graph, of))
            self._routes.add(route, made)

    # -- from outside ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Open everything, run until every sink has ended, close everything.

        Raises:
            StageError: It has run before. RtpipeError: A stage could not open, or failed while its
                policy was to fail. All is closed by then, and what had been recorded is complete.
        """
        if self._ended:
            raise StageError("a pipeline runs once", help="load it again")
        self.bus.bind()
        self.clock.start()
        over = self._over = asyncio.get_running_loop().create_future()
        if self._stopping is not None:  # before it ran
            self._end()
        reason = "failed"
        try:
            if await done_before(over, self._open()):
                if self._started is not None:
                    self._started.set_result(None)
                self._publish_own(PipelineStarted(name=self.spec.name))
                await self._move_audio(over)
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
        if self._stopping is not None or self._ended:
            return
        self._stopping = reason
        self._publish_own(PipelineStopping(reason=reason))
        for slot in self._slots.values():
            slot.ctx.stopping = True
        self._end()

    async def __aenter__(self) -> Self:
        """Open everything and let it run beside the program.

        Raises:
            RtpipeError: As `run` does; everything is closed by then.
        """
        self._started = asyncio.get_running_loop().create_future()
        self._running = await begin(self.run(), self._started, name=self.spec.name)
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Stop, drain and close; raise what ended the pipeline unless the block raised."""
        assert self._running is not None
        self.stop("the program is done")
        await asyncio.gather(self._running, return_exceptions=error is not None)

    def __getitem__(self, id: str) -> Any:
        """Return the stage that stands at `id` now: `pipeline["gain"].set(-3)`.

        Raises KeyError: there is no such stage; StageError: it is not open.
        """
        slot = self._slots[id]
        if slot.status is not Status.OK:
            raise StageError(f"{id} is {slot.status.value}")
        return slot.stage

    def events(self, match: str | Iterable[str] = "*") -> AsyncGenerator[Event, None]:
        """Return the events that will match, until the pipeline has ended.

        They wait in a queue of their own; who reads slowly loses the oldest of more than 1000.
        """
        return self.bus.stream(match)

    def perform(self, stage: str, action: str, /, *args: object, **kwargs: object) -> object:
        """Carry out an action of a stage and return what it returns.

        `flush` is one that every stage has. What the action itself raises comes through.

        Raises:
            StageError: There is no such stage or action, it does not run, the arguments do not fit.
        """
        slot = self._place(stage)
        kind, offered = slot.used.kind, offered_actions(slot.used.stage_type)
        found, args, kwargs = checked(stage, kind, action, args, kwargs, offered)
        if found is FLUSH:
            return self.flush(stage)
        result = getattr(self[stage], found.method)(*args, **kwargs)
        if isinstance(result, Coroutine):
            result.close()
            raise StageError(f"{stage}.{action} is async", help="write an action as `def`")
        return result

    def tap_output(self, id: str, handler: Callable[[AudioFrame], None]) -> Callable[[], None]:
        """Call `handler(frame)` for every frame that stage `id` gives out or, as a sink, takes.

        At once and by reference: be quick, write nothing into it, copy what is to be kept. A
        handler that raises is told (`plugin.failed`) and called no more.

        Returns:
            A function that ends it; calling it twice is harmless.

        Raises:
            StageError: There is no such stage.
        """
        name = getattr(handler, "__qualname__", f"{handler!r}")
        return self._place(id).tap(handler, partial(self._plugin_failed, name))

    def flush(self, id: str) -> float:
        """Drop what is buffered in stage `id` and after it; returns the ms dropped."""
        return self._flush(id, self.graph.downstream(id))

    def _flush(self, id: str, stages: list[str]) -> float:
        flushed = 0.0
        for reached in stages:
            slot = self._slots[reached]
            if slot.status is not Status.OK:
                continue
            if isinstance(slot.stage, Sink) and not slot.stage.flushable:
                continue
            flushed += self._wiring.flush(reached)
            slot.forget()
        self.bus.publish(LinkFlushed(source=id, at=self.clock.now(), flushed_ms=round(flushed, 3)))
        return flushed

    def plan_for(self, graph: Graph) -> ChangePlan:
        """Return what `apply` would do about each part of the pipeline, and what would be heard."""
        return self._reloader.plan_for(graph)

    async def apply(self, graph: Graph) -> ChangePlan:
        """Become another pipeline while running, and return what was done to that end.

        What both have in common goes on untouched. Where something does not open, all stays as it
        was; what cannot be open twice (a device) is closed first.

        Raises:
            RtpipeError: It does not run, is being changed already, or something does not open;
                `pipeline.reload_refused` says so, too.
        """
        if not self._tasks.working or self._stopping is not None:
            self._reloader.refuse(f"{self.spec.name} does not run")
        return await self._reloader.apply(graph)

    async def reload(
        self, *, dry_run: bool = False, when: Literal["now", "pause"] = "now"
    ) -> ChangePlan:
        """Read the files again, and `apply` what they hold now; see there for what is raised.

        Args:
            dry_run: Only return what would be done.
            when: `pause`: not before nobody speaks.

        Raises ConfigError: with everything that is wrong with them.
        """
        graph = await self._reloader.read(self.loader, tell=not dry_run)
        if dry_run:
            return self.plan_for(graph)
        if when == "pause":
            await self._reloader.pause()
        return await self.apply(graph)

    def state(self) -> list[StageState]:
        """Return what every stage looks like now, in the order of the graph."""
        return [state_of(slot, self._wiring.inlets(id)) for id, slot in self._slots.items()]

    def describe(self) -> list[StageDescription]:
        """Return what every stage is and offers, in the order of the graph."""
        mask = self.spec.masked
        return [described(self._slots[id], node, mask) for id, node in self.graph.nodes.items()]

    def links(self) -> list[LinkState]:
        """Return what every media edge looks like now, by feeder, in the order of the graph."""
        return link_states(self.plan, self._slots, self._wiring.inlets)

    def refusals(self) -> dict[str, dict[str, str]]:
        """Return why actions cannot be done now, by stage and action; who can is left out."""
        return {id: refusals(slot) for id, slot in self._slots.items()}

    # -- opening ---------------------------------------------------------------------------------

    def _replan(self) -> None:
        """Go by what stands in each place now: at first the file's, later the fallbacks'."""
        self._stand(self.graph, self._slots, self._wiring.follow)

    def _stand(
        self, graph: Graph, slots: dict[str, Slot], connect: Callable[[Plan], object]
    ) -> None:
        """Be what `slots` hold, connected as `connect` does it by the plan that is given to it."""
        self.graph, self.spec, self._slots = graph, graph.pipeline, slots
        self.plan = make_plan(graph, {id: slot.used for id, slot in slots.items()})
        place_in(self.plan, slots)
        connect(self.plan)
        self._reloader.follow()

    async def _open(self) -> None:
        for plugin, make in self._registry.extensions(self) if self._registry is not None else ():
            extension = Extension(make, partial(self._plugin_failed, plugin.name))
            self._extensions.append(extension)
            await extension.enter()
        self._registry = None  # what is installed takes room, and is asked no more
        await self._routes.open(hearing=True)
        # Sinks and peers before sources, so that speech during call set-up is not heard late.
        by_depth = reversed(list(self._slots.values()))
        for slot in sorted(by_depth, key=lambda slot: issubclass(slot.spec.stage_type, Source)):
            await slot.open()
        await self._routes.open(hearing=False)  # what a button sets off, every stage can do now

    # -- running ---------------------------------------------------------------------------------

    async def _move_audio(self, over: asyncio.Future[None]) -> None:
        for id, slot in self._slots.items():
            if not isinstance(slot, InlineSlot):
                self._tasks.start(id, slot, live=id in self.plan.live)
        await self._tasks.run(over, self._drain)

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def _drain(self) -> None:
        """End the sources; after the deadline cut off what feeds the sinks, then the sinks."""
        await self._reloader.end()
        late = await self._tasks.drained(self.spec.drain_s)
        for link in (link for id in self._slots for link in self._wiring.inlets(id)):
            link.close()
        if late:
            await asyncio.wait(late, timeout=SETTLE_S)

    # -- closing ---------------------------------------------------------------------------------

    async def _close(self, reason: str) -> None:
        await self._reloader.end()
        await self._routes.close(hearing=False)
        for slot in self._slots.values():
            await slot.close()
        self._wiring.tell_losses()
        self._publish_own(PipelineEnded(reason=reason))
        self._ended = True
        self.bus.end_streams()
        await self._routes.close(hearing=True)
        for extension in reversed(self._extensions):
            await extension.leave()

    # -- small parts -----------------------------------------------------------------------------

    def _place(self, id: str) -> Slot:
        slot = self._slots.get(id)
        if slot is None:
            raise StageError(f"no stage `{id}`", help=unknown_stage_help(id, self._slots))
        return slot

    def _tap(self, id: str, handler: Callable[[AudioFrame], None]) -> Callable[[], None]:
        slot = self._slots.get(id) or self._reloader.coming(id)
        if slot is None or isinstance(slot, InlineSlot) or not slot.spec.inputs:
            raise StageError(f"there is no `{id}` to listen to", help="name one with an inlet")
        taps = slot.ctx.taps
        taps.append(handler)
        return lambda: taps.remove(handler) if handler in taps else None

    def _on_failure(self, slot: Slot, error: RtpipeError) -> None:
        """Remember the first failure and end in order: the recording must be complete."""
        if self._error is None:
            self._error = error
        self.stop(f"{slot.spec.id} failed")

    def _plugin_failed(self, plugin: str, error: BaseException) -> None:
        self._publish_own(failure(plugin, error, self.spec.masked))

    def _publish_own(self, event: Event) -> None:
        self.bus.publish(replace(event, source=event.source or "pipeline", at=self.clock.now()))
