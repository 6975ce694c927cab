"""Takes one reload at a time, and says what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from rtpipe.errors import RtpipeError, StageError
from rtpipe.events import PipelineReloaded, PipelineReloadRefused
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import contained
from rtpipe.running.reload.change_plan import (
    ANOTHER_INSTANCE,
    How,
    kept,
    make_change_plan,
)
from rtpipe.running.reload.exchange import Exchange
from rtpipe.running.reload.pauses import Pauses
from rtpipe.running.reload.returns import END_S, Returns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.loading import Loaded
    from rtpipe.running.reload.change_plan import ChangePlan
    from rtpipe.running.reload.exchange import Machinery
    from rtpipe.running.supervisor import Slot


class Reloader:
    """Makes a running pipeline another one, and lets what was away come back.

    Args:
        machinery: What the pipeline runs by.
        standing: Returns what it runs now: its graph, and the stages in their places.
        report: Publishes what came of it.
    """

    def __init__(
        self,
        machinery: Machinery,
        standing: Callable[[], tuple[Graph, dict[str, Slot]]],
        report: Callable[[Event], None],
    ) -> None:
        self._machinery = machinery
        self._standing = standing
        self._report = report
        self._pauses = Pauses(machinery.bus)
        self._returns = Returns(machinery, standing, self._pauses)
        self._at_work: asyncio.Task[ChangePlan] | None = None
        self._exchange: Exchange | None = None

    def coming(self, id: str) -> Slot | None:
        """Return the place of a stage that was opened and does not stand in the pipeline yet."""
        return None if self._exchange is None else self._exchange.coming(id)

    def follow(self) -> None:
        """Take note of what stands in each place now."""
        self._returns.follow()

    def plan_for(self, new: Graph) -> ChangePlan:
        """Return what `apply` would do about each part, and what would be heard."""
        old, slots = self._standing()
        return make_change_plan(old, new, {id: slot.used for id, slot in slots.items()})

    async def apply(self, new: Graph) -> ChangePlan:
        """Make the pipeline run `new`, and return what was done to that end.

        Who is cancelled meanwhile leaves it at work.

        Raises:
            StageError: Another reload is at work, or what is to go on has ended.
            RtpipeError: Something could not be opened.
        """
        if self._at_work is not None:
            self.refuse("another reload is at work", help="wait for it, and ask again")
        self._at_work = asyncio.create_task(self._work(new), name="reload")
        return await asyncio.shield(self._at_work)

    async def read(self, loader: Callable[[], Loaded] | None, *, tell: bool) -> Graph:
        """Return what the files hold now, read in a thread.

        Args:
            loader: Reads them.
            tell: Whether files that are wrong are told of.

        Raises:
            ConfigError: They are wrong.
            StageError: There are none.
        """
        if loader is None:
            self.refuse("it was made from no files that could be read again")
        try:
            return (await asyncio.to_thread(loader)).graph
        except RtpipeError as error:
            if tell:
                self._report(PipelineReloadRefused(reason=error.message))
            raise

    async def pause(self) -> None:
        """Return when nobody speaks, or has for `PAUSE_S`."""
        await self._pauses.wait()

    def refuse(self, reason: str, *, help: str | None = None) -> NoReturn:
        """Say that nothing is changed, and why.

        Raises:
            StageError: Always.
        """
        self._report(PipelineReloadRefused(reason=reason))
        raise StageError(f"not reloaded: {reason}", help=help)

    async def end(self) -> None:
        """Break off what is at work: the pipeline stops."""
        await self._returns.end()
        if self._at_work is not None:
            await cancel([self._at_work], END_S)

    async def _work(self, new: Graph) -> ChangePlan:
        try:
            await self._returns.halt()
            (old, slots), plan = self._standing(), self.plan_for(new)
            exchange = Exchange(self._machinery, old, kept(old, new), slots, plan)
            self._exchange = exchange
            await exchange.open()
            await exchange.carry_out()
            self._pauses.forget(plan.stages(How.REMOVED, *ANOTHER_INSTANCE))
        except Exception as raised:
            error = contained(raised)
            reason = error.message if isinstance(error, RtpipeError) else f"{error!r}"
            self._report(PipelineReloadRefused(reason=new.pipeline.masked(reason)))
            raise
        finally:
            self._at_work = self._exchange = None
            self._returns.resume()
        changes = tuple(change.line() for change in plan.differences)
        self._report(PipelineReloaded(changes=changes, keeps_call=plan.keeps_call))
        await exchange.part()
        return plan
