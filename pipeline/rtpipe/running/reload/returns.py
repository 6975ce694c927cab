"""The way back from a fallback: what it stands in for is tried again, and takes its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.errors import RtpipeError
from rtpipe.events import StageReturned, StageReturning, StageStillAway
from rtpipe.language.spec import describe
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import contained
from rtpipe.running.reload.change_plan import ChangePlan, How, make_change_plan
from rtpipe.running.reload.exchange import Exchange
from rtpipe.running.reload.pauses import PAUSE_S
from rtpipe.running.state import Status
from rtpipe.stage import Peer, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtpipe.language.graph import Graph
    from rtpipe.language.spec import StageSpec
    from rtpipe.running.reload.exchange import Machinery
    from rtpipe.running.reload.pauses import Pauses
    from rtpipe.running.supervisor import Slot

PATIENCE_S = 60.0
"""How long what is back waits for a pause; then it takes its place anyway."""
CONVERSATION_S = 10.0
"""How long nobody may have spoken before a conversation is taken to be over: a peer that takes
another's place knows nothing of what was said."""
END_S = 5.0
"""What may be cancelled has as long to end."""


class Returns:
    """Tries again, one by one, what fallbacks with `return_after_s` stand in for.

    It is opened beside the fallback, which goes on meanwhile, and takes its place when nobody
    speaks, as in a reload. A reload comes first: what waits for a pause is closed again.

    Args:
        machinery: What the pipeline runs by.
        standing: Returns its graph, and the stages in their places.
        pauses: Knows when nobody speaks.
    """

    def __init__(
        self,
        machinery: Machinery,
        standing: Callable[[], tuple[Graph, dict[str, Slot]]],
        pauses: Pauses,
    ) -> None:
        self._by = machinery
        self._standing = standing
        self._pauses = pauses
        self._waiting: dict[str, tuple[StageSpec, asyncio.Task[None]]] = {}
        self._exchanging: set[asyncio.Task[None]] = set()
        self._since: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._halted = self._ended = False

    def follow(self) -> None:
        """Take note of what stands in each place now."""
        places = self._places()
        for id in [id for id, (used, _) in self._waiting.items() if not _is(places.get(id), used)]:
            self._waiting.pop(id)[1].cancel()
        for id in [id for id in self._since if id not in places or not _stands_in(places[id])]:
            del self._since[id]
            self._told.pop(id, None)
        for id, slot in places.items():
            if _stands_in(slot):
                self._since.setdefault(id, slot.ctx.now())
            if slot.returns_after_s is None or id in self._waiting or self._halted:
                continue
            work = self._come_back(id, slot.returns_after_s)
            self._waiting[id] = slot.used, asyncio.create_task(work, name=f"{id} returns")

    async def halt(self) -> None:
        """Leave everything as it is until `resume`; what is being exchanged is so afterwards."""
        self._halted = True
        waiting = [task for _, task in self._waiting.values()]
        self._waiting.clear()
        for task in waiting:
            task.cancel()
        await _all([*waiting, *self._exchanging])

    def resume(self) -> None:
        """Go on, unless the pipeline stops."""
        self._halted = self._ended
        self.follow()

    async def end(self) -> None:
        """Break off what is at work: the pipeline stops."""
        self._halted = self._ended = True
        waiting = [task for _, task in self._waiting.values()]
        self._waiting.clear()
        await cancel([*waiting, *self._exchanging], END_S)

    def _places(self) -> dict[str, Slot]:
        return {**self._standing()[1], **self._by.routes.slots}

    async def _come_back(self, id: str, period_s: float) -> None:
        """Try it until it has come back."""
        while True:
            await asyncio.sleep(period_s)
            slot = self._places()[id]
            if self._by.tasks.working and _is_well(slot):
                await self._try(id, slot)
            if slot.ended or slot is not self._places().get(id):
                return

    async def _try(self, id: str, slot: Slot) -> None:
        exchange = self._exchange(id, slot)
        try:
            if issubclass(slot.spec.stage_type, Peer):  # nobody talks to a second call, which costs
                await self._pause(slot)
            await exchange.open()
        except Exception as raised:  # noqa: BLE001 - what is away may say so as it likes
            self._tell_away(id, slot, contained(raised))
            return
        coming = exchange.coming(id)
        assert coming is not None
        wanted, opened_at = describe(coming.used), slot.ctx.now()
        slot.ctx.publish(StageReturning(wanted=wanted, away_s=self._away_s(id, slot)))
        slot.returning = True
        try:
            paused = await self._pause(slot)
        except BaseException:
            await exchange.give_up()
            raise
        finally:
            slot.returning = False
        if not _is_well(slot):
            await exchange.give_up()
            return
        waited_s = round(slot.ctx.now() - opened_at, 3)
        _, task = self._waiting.pop(id)
        self._exchanging.add(task)
        away_s = self._away_s(id, slot)
        try:
            await exchange.carry_out()
            instead_of = describe(slot.used)
            slot.ctx.publish(
                StageReturned(
                    used=wanted,
                    instead_of=instead_of,
                    away_s=away_s,
                    waited_s=waited_s,
                    paused=paused,
                )
            )
            await exchange.part()
        except Exception as raised:  # noqa: BLE001 - as above
            self._tell_away(id, slot, contained(raised))
        finally:
            self._exchanging.discard(task)
            self.follow()

    def _exchange(self, id: str, slot: Slot) -> Exchange:
        """Return what lets what is away take the place of `slot`, and all else as it is."""
        graph, slots = self._standing()
        plan = make_change_plan(graph, graph, {each: s.used for each, s in slots.items()})
        part = "subscriber" if issubclass(slot.spec.stage_type, Subscriber) else "stage"
        changes = (
            replace(each, how=How.REOPENED) if (each.part, each.id) == (part, id) else each
            for each in plan.changes
        )
        return Exchange(self._by, graph, graph, slots, ChangePlan(tuple(changes)), returns=True)

    async def _pause(self, slot: Slot) -> bool:
        """Return when nobody speaks: True; after `PATIENCE_S` anyway: False."""
        if issubclass(slot.spec.stage_type, Subscriber):  # nothing is heard of it
            return True
        quiet_s = CONVERSATION_S if issubclass(slot.spec.stage_type, Peer) else PAUSE_S
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._pauses.wait(quiet_s)
        except TimeoutError:
            return False
        return True

    def _tell_away(self, id: str, slot: Slot, error: Exception) -> None:
        reason = error.message if isinstance(error, RtpipeError) else f"{error!r}"
        reason = self._standing()[0].pipeline.masked(reason).removeprefix(f"{id}: ")
        if self._told.get(id) != reason:
            self._told[id] = reason
            wanted, away_s = describe(slot.spec), self._away_s(id, slot)
            slot.ctx.publish(StageStillAway(wanted=wanted, reason=reason, away_s=away_s))

    def _away_s(self, id: str, slot: Slot) -> float:
        return round(slot.ctx.now() - self._since.get(id, slot.ctx.now()), 3)


def _stands_in(slot: Slot) -> bool:
    return slot.used is not slot.spec


def _is(slot: Slot | None, used: StageSpec) -> bool:
    return slot is not None and slot.used is used


def _is_well(slot: Slot) -> bool:
    return slot.status is Status.OK and not slot.ended


async def _all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Return when all have ended, however."""
    await asyncio.gather(*tasks, return_exceptions=True)
