"""Takes one reload at a time, and says what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from rtpipe.errors import RtpipeError, StageError
from rtpipe.events import PipelineReloaded, PipelineReloadRefused
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import contained
from rtpipe.running.reload.change_plan import kept
from rtpipe.running.reload.exchange import Exchange
from rtpipe.running.reload.pauses import Pauses

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.events import Event
    from rtpipe.language.graph import Graph
    from rtpipe.language.loading import Loaded
    from rtpipe.running.reload.change_plan import ChangePlan
    from rtpipe.running.reload.exchange import Machinery
    from rtpipe.running.supervisor import Slot

_END_S = 5.0


class Reloader:
    """Makes a running pipeline another one.

    Args:
        machinery: What the pipeline runs by.
        report: Publishes what came of it.
    """

    def __init__(self, machinery: Machinery, report: Callable[[Event], None]) -> None:
        self._machinery = machinery
        self._report = report
        self._pauses = Pauses(machinery.bus)
        self._at_work: asyncio.Task[None] | None = None
        self._exchange: Exchange | None = None

    def coming(self, id: str) -> Slot | None:
        """Return the place of a stage that was opened and does not stand in the pipeline yet."""
        return None if self._exchange is None else self._exchange.coming(id)

    async def apply(
        self, old: Graph, new: Graph, slots: dict[str, Slot], plan: ChangePlan
    ) -> ChangePlan:
        """Carry out `plan`, by which a pipeline that runs `old` in `slots` becomes `new`.

        Who is cancelled meanwhile leaves it at work.

        Raises:
            StageError: Another reload is at work, or what is to go on has ended.
            RtpipeError: Something could not be opened.
        """
        if self._at_work is not None:
            self.refuse("another reload is at work", help="wait for it, and ask again")
        exchange = Exchange(self._machinery, old, kept(old, new), slots, plan)
        self._exchange = exchange
        work = self._work(exchange, new, plan)
        self._at_work = asyncio.create_task(work, name="reload")
        await asyncio.shield(self._at_work)
        return plan

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
        if self._at_work is not None:
            await cancel([self._at_work], _END_S)

    async def _work(self, exchange: Exchange, new: Graph, plan: ChangePlan) -> None:
        try:
            await exchange.carry_out()
        except Exception as raised:
            error = contained(raised)
            reason = error.message if isinstance(error, RtpipeError) else f"{error!r}"
            self._report(PipelineReloadRefused(reason=new.pipeline.masked(reason)))
            raise
        finally:
            self._at_work = self._exchange = None
        changes = tuple(change.line() for change in plan.differences)
        self._report(PipelineReloaded(changes=changes, keeps_call=plan.keeps_call))
        await exchange.part()
