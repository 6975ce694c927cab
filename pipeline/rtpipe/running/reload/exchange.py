"""One reload: what is new is opened beside what runs, then takes its place between two frames."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.errors import StageError
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import contained
from rtpipe.running.inline import InlineSlot
from rtpipe.running.places import place_in
from rtpipe.running.plan import make_plan
from rtpipe.running.reload.change_plan import ANOTHER_INSTANCE, How
from rtpipe.running.routes import Subscription
from rtpipe.stage import Peer, Source, Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rtpipe.bus import Bus
    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.link import Link
    from rtpipe.running.chain import Step
    from rtpipe.running.places import Places
    from rtpipe.running.plan import Plan
    from rtpipe.running.reload.change_plan import ChangePlan
    from rtpipe.running.routes import Routes
    from rtpipe.running.supervisor import Slot
    from rtpipe.running.tasks import StageTasks
    from rtpipe.running.wiring import Wiring

PARTING_S = 2.0
"""How long a stage that goes may take over what it was given; then its task is cancelled."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """What a pipeline runs by.

    Attributes:
        bus: Where its events come by.
        places: Makes the places of its stages.
        wiring: Connects them.
        tasks: Lets them work.
        routes: Its routes, with their subscribers.
        stand: Makes it be a graph and its slots, connected as a function does it.
    """

    bus: Bus
    places: Places
    wiring: Wiring
    tasks: StageTasks
    routes: Routes
    stand: Callable[[Graph, dict[str, Slot], Callable[[Plan], object]], None]


class Exchange:
    """Makes a running pipeline another one, once.

    Args:
        machinery: What the pipeline runs by.
        old: What it runs.
        new: What it is to run.
        slots: Its stages by id.
        plan: What is to be done about each.
        returns: Whether it is a fallback that is to give way: who stands there is not opened again.
    """

    def __init__(
        self,
        machinery: Machinery,
        old: Graph,
        new: Graph,
        slots: Mapping[str, Slot],
        plan: ChangePlan,
        *,
        returns: bool = False,
    ) -> None:
        self._by = machinery
        self._old = old
        self._new = new
        self._slots = dict(slots)
        self._plan = plan
        self._returns = returns
        self._coming = plan.stages(How.ADDED, *ANOTHER_INSTANCE)
        self._going = plan.stages(How.REMOVED, *ANOTHER_INSTANCE)
        self._opened: dict[str, tuple[Slot, _HeldBack]] = {}
        self._subscribers: dict[str, tuple[Subscription, _HeldBack]] = {}
        self._parted: set[str] = set()
        self._leaving: list[tuple[Slot, asyncio.Task[None] | None]] = []
        self._left: list[Link] = []
        self._over: list[Subscription] = []

    async def open(self) -> None:
        """Open what is new and can be open beside what runs; nobody hears of it yet.

        Raises:
            RtpipeError: Something could not be opened; all is as it was.
        """
        first = self._to_close_first()
        try:
            await self._open_beside([id for id in self._coming if id not in first])
        except BaseException:
            await self.give_up()
            raise

    async def carry_out(self) -> None:
        """Do it, after `open`.

        Raises:
            RtpipeError: Something could not be opened or changed; all is as it was.
        """
        tasks = self._by.tasks
        tasks.changing = True
        undo: list[Callable[[], None]] = []
        try:
            self._check()
            first = self._to_close_first()
            self._change_in_place(undo)
            for id, before in first.items():
                await self._close_then_open(id, before)
            await self._let_finish()
            self._swap()
        except BaseException:
            for back in reversed(undo):
                back()
            await self.give_up()
            raise
        finally:
            tasks.changing = False
            tasks.look()

    async def give_up(self) -> None:
        """Close what was opened: it is not to stand in the pipeline."""
        for subscription, _ in self._subscribers.values():
            await subscription.close()
        for slot, _ in self._opened.values():
            await slot.close_instance()

    def coming(self, id: str) -> Slot | None:
        """Return the place of what was opened and does not stand in the pipeline yet."""
        if id in self._opened:
            return self._opened[id][0]
        return self._subscribers[id][0].slot if id in self._subscribers else None

    async def part(self) -> None:
        """Let what is gone take what it was still given, and close it."""
        for slot, task in self._leaving:
            await self._finished(slot, task)
            await slot.close()
        for link in self._left:
            self._by.wiring.retire(link)
        for subscription in self._over:
            await subscription.close()

    # -- before ------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Refuse what cannot be.

        Raises:
            StageError: A stream that is to go on has ended.
        """
        for id in self._coming:
            slot = self._slots.get(id)
            if slot is not None and slot.ended:
                raise StageError(f"not reloaded: `{id}` has ended, and with it what reads it")

    def _to_close_first(self) -> dict[str, list[str]]:
        """Return who cannot be open beside whom: those to be closed, by the id to be opened."""
        found: dict[str, list[str]] = {}
        going = [id for id in self._going if not isinstance(self._slots[id], InlineSlot)]
        for id in self._coming:
            claims = self._new.nodes[id].spec.claims
            before = [each for each in going if claims & self._slots[each].used.claims]
            if before:
                found[id] = before
        return found

    async def _open_beside(self, ids: Sequence[str]) -> None:
        for spec in (route.subscriber for route in self._new.pipeline.routes):
            if spec is not None:
                how = self._plan.of("subscriber", spec.id).how
                if how in {How.ADDED, How.REOPENED}:
                    held = _HeldBack(self._by.bus)
                    subscription = Subscription(self._by.places.make(self._new, spec, held))
                    self._subscribers[spec.id] = subscription, held
                    await subscription.open(before=self._stand_in(self._by.routes.slots, spec.id))
        for id in self._in_order(ids):
            await self._open(id)

    def _in_order(self, ids: Sequence[str]) -> list[str]:
        """Return sinks and peers before sources, as at the start."""
        nodes = self._new.nodes
        backwards = [id for id in reversed(nodes) if id in ids]
        return sorted(backwards, key=lambda each: issubclass(nodes[each].spec.stage_type, Source))

    async def _open(self, id: str) -> None:
        """Open what stands at `id` in the new file; nobody hears of it yet."""
        held = _HeldBack(self._by.bus)
        slot = self._by.places.make(self._new, self._new.nodes[id].spec, held)
        slot.quiet = True
        self._opened[id] = slot, held
        before = self._slots.get(id)
        if before is not None and before.used.kind == slot.used.kind:
            slot.ctx.place = before.ctx.place
        specs = {each: opened.used for each, (opened, _) in self._opened.items()}
        place_in(make_plan(self._new, specs), {id: slot})
        await slot.open(before=self._stand_in(self._slots, id))

    def _stand_in(self, slots: Mapping[str, Slot], id: str) -> StageSpec | None:
        return slots[id].used if self._returns else None

    def _change_in_place(self, undo: list[Callable[[], None]]) -> None:
        for id in self._plan.stages(How.SAME, How.IN_PLACE, How.SESSION_UPDATE):
            slot = self._slots[id]
            try:
                undo.append(slot.become(self._new.nodes[id].spec, self._new.pipeline.masked))
            except Exception as error:
                raise slot.wrapped(contained(error)) from error

    async def _close_then_open(self, id: str, before: Sequence[str]) -> None:
        """Close what holds what the stage at `id` needs, then open that.

        Raises:
            StageError: It did not open; what was closed is open again.
        """
        for each in before:
            if each not in self._parted:
                await self._let_go(each)
                await self._slots[each].close()
        try:
            await self._open(id)
        except Exception:
            for each in before:
                await self._open_again(each)
            raise

    async def _open_again(self, id: str) -> None:
        """Let what stood at `id` work again; where it does not open, the pipeline ends by that."""
        before = self._slots[id]
        slot = self._by.places.make(self._old, before.spec)
        before.give_way(slot)
        self._slots[id] = slot
        self._parted.discard(id)
        self._by.wiring.take_over(id)
        now = {each: standing.used for each, standing in self._slots.items()}
        place_in(make_plan(self._old, now), {id: slot})
        try:
            await slot.open()
        except Exception as error:  # noqa: BLE001 - it is told, and ends the pipeline
            slot.fail(contained(error))
            return
        self._by.stand(self._old, self._slots, self._by.wiring.follow)
        plan = make_plan(self._old, {each: s.used for each, s in self._slots.items()})
        self._by.tasks.start(id, slot, live=id in plan.live)

    async def _let_finish(self) -> None:
        """Let what goes and gives out frames do so to the end: what follows it is after that."""
        for id in self._old.nodes:
            slot = self._slots[id]
            if id not in self._going or id in self._parted or isinstance(slot, InlineSlot):
                continue
            if issubclass(slot.used.stage_type, Transform):
                await self._let_go(id)
            elif issubclass(slot.used.stage_type, Peer):
                await self._let_go(id)
                await slot.close()  # before the other call is told of

    async def _let_go(self, id: str) -> None:
        """End the work of the stage at `id`, and keep what comes for it."""
        slot, wiring = self._slots[id], self._by.wiring
        self._parted.add(id)
        slot.quiet = True
        wiring.outlets[id].closes = False
        task = self._by.tasks.let_go(slot)
        if issubclass(slot.used.stage_type, (Source, Peer)):
            if task is not None:
                await cancel([task], PARTING_S)
            return
        now = make_plan(self._old, {each: stage.used for each, stage in self._slots.items()})
        links = wiring.change(now, _inline(self._slots), renewed={id})[id]
        for link in links:
            link.close()
        self._left += links
        await self._finished(slot, task)

    async def _finished(self, slot: Slot, task: asyncio.Task[None] | None) -> None:
        """Return when the work of `slot` is over, after `PARTING_S` at the latest."""
        if task is None:
            return
        await asyncio.wait([task], timeout=PARTING_S)
        await cancel([task])
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            slot.report(contained(error))

    # -- at once -----------------------------------------------------------------------------------

    def _swap(self) -> None:
        """Let what was opened take its place; nothing waits here, so no frame moves meanwhile."""
        opened = {id: slot for id, (slot, _) in self._opened.items()}
        slots = {id: opened.get(id) or self._slots[id] for id in self._new.nodes}
        for id in self._going:
            slot = self._slots[id]
            slot.quiet = True
            if id in opened:
                slot.give_way(opened[id])
                if id in self._by.wiring.outlets:
                    self._by.wiring.take_over(id)
        self._by.stand(self._new, slots, lambda plan: self._connect(plan, slots))
        for id in self._going:
            slot = self._slots[id]
            task = None if id in self._parted else self._by.tasks.let_go(slot)
            if task is not None and issubclass(slot.used.stage_type, (Source, Peer)):
                task.cancel()
            self._leaving.append((slot, task))
        self._over = self._by.routes.follow(
            self._new.pipeline.routes,
            {id: subscription for id, (subscription, _) in self._subscribers.items()},
            self._new.pipeline.masked,
        )
        live = make_plan(self._new, {id: slot.used for id, slot in slots.items()}).live
        for id, slot in opened.items():
            if not isinstance(slot, InlineSlot):
                self._by.tasks.start(id, slot, live=id in live)
            slot.quiet = False
        for held in [held for _, held in (*self._subscribers.values(), *self._opened.values())]:
            held.release()

    def _connect(self, plan: Plan, slots: Mapping[str, Slot]) -> None:
        leaving = [slot for id in self._going if isinstance(slot := self._slots[id], InlineSlot)]
        wiring = self._by.wiring
        renewed = self._plan.stages(*ANOTHER_INSTANCE)
        given_s = {id: audio.end_s(slot.last) for id, slot in self._slots.items() if slot.last}
        left = wiring.change(
            plan, _inline(slots), leaving=leaving, renewed=renewed, given_s=given_s
        )
        for id, links in left.items():
            self._left += links
            for link, feeder in zip(links, self._old.nodes[id].inputs, strict=True):
                if id in self._parted:  # nobody reads it
                    wiring.pass_on(link, plan, feeder, self._heirs(id))
                else:
                    link.close()

    def _heirs(self, id: str) -> set[str]:
        """Return who reads, in the new file, what the stage at `id` read in the old one."""
        if id in self._new.nodes:
            return {id}
        outputs = self._old.nodes[id].outputs
        return {heir for output in outputs for heir in self._heirs(output)}


class _HeldBack:
    """Keeps the events of a stage that does not stand in the pipeline yet."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._events: list[Event] | None = []

    def __call__(self, event: Event) -> None:
        if self._events is None:
            self._bus.publish(event)
        else:
            self._events.append(event)

    def release(self) -> None:
        """Tell of what has happened, and at once of what happens from now on."""
        events, self._events = self._events or [], None
        for event in events:
            self._bus.publish(event)


def _inline(slots: Mapping[str, Slot]) -> dict[str, Step]:
    return {id: slot for id, slot in slots.items() if isinstance(slot, InlineSlot)}
