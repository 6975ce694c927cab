"""An outage: the visitor is not heard, and calls are placed (with back-off) until one stands.

A call that stands only briefly does not end it: a server that takes every call and drops it is
called less and less often, and given up like one that takes none.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtpipe import EnvironmentProblem, ExitCode, LinkClosed, audio
from rtpipe_plugins.peers.realtime.errors import wanted_pause_s, worth_retrying
from rtpipe_plugins.peers.realtime.events import RealtimeReconnecting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtpipe import Link, StageContext
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.options import Reconnect

_LOOK_S = 0.1


class Outage:
    """From the loss of a call until one has stood for long enough.

    Args:
        options: How to call again.
        place: Places one call; takes how often it will then have been tried.
        ctx: The stage's.
    """

    def __init__(
        self, options: Reconnect, place: Callable[[int], Awaitable[ActiveCall]], ctx: StageContext
    ) -> None:
        self._options = options
        self._place = place
        self._ctx = ctx
        self._began_at = ctx.now()
        self._lost_at = self._began_at
        self._failures = 0
        self._reason = ""
        self.calls = 0
        """How many calls have stood in it, all of them briefly."""
        self.unsent_ms = 0.0
        """How much of the visitor's audio was dropped since the last loss."""

    @property
    def silent_s(self) -> float:
        """For how long there has been no call."""
        return self._ctx.now() - self._lost_at

    @property
    def lasted_s(self) -> float:
        """For how long there has been no call that lasted."""
        return self._ctx.now() - self._began_at

    def goes_on(self) -> None:
        """Take note that a call which ended it has been lost too."""
        self._lost_at = self._ctx.now()
        self.unsent_ms = 0.0
        self.calls += 1

    async def end(self, inlet: Link, reason: str, hung_up: asyncio.Task[None]) -> ActiveCall | None:
        """Return the next call; None when the input has ended or the pipeline stops before.

        What is live goes on meanwhile and is dropped, not queued: nobody wants to be answered to
        what he said a minute ago. What waits, as a file does, waits.

        Args:
            inlet: The visitor's audio.
            reason: Why the call was lost.
            hung_up: Done when the server knows that it is over, or does not answer: one that takes
                few calls at a time would refuse the next.

        Raises:
            CallRefused: The server will not have another.
            EnvironmentProblem: It took too long, or cannot succeed.
            StageError: The server's answer cannot be used.
        """
        placing = asyncio.create_task(self._place_until_given_up(reason, hung_up))
        work: set[asyncio.Task[Any]] = {placing}
        if self._ctx.live:
            work.add(asyncio.create_task(self._drop(inlet)))
        call: ActiveCall | None = None
        try:
            while not (self._ctx.stopping or any(task.done() for task in work)):
                await asyncio.wait(work, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if placing.done():
                call = placing.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if call is None and not placing.cancelled() and placing.exception() is None:
                await placing.result().close()  # it came too late
        return call

    async def _place_until_given_up(self, reason: str, hung_up: asyncio.Task[None]) -> ActiveCall:
        give_up_s = self._options.give_up_s
        try:
            async with asyncio.timeout(None if give_up_s is None else give_up_s - self.lasted_s):
                return await self._place_until_one_stands(reason, hung_up)
        except TimeoutError:
            lasting = " that lasted" if self.calls else ""
            raise EnvironmentProblem(
                f"no call{lasting} for {give_up_s:g} s: {self._reason}",
                exit_code=ExitCode.TEMPORARY,
            ) from None

    async def _place_until_one_stands(self, reason: str, hung_up: asyncio.Task[None]) -> ActiveCall:
        wanted_s: float | None = None
        while True:
            self._reason = reason
            pause_s = self._options.backoff.pause_s(self._failures, wanted_s)
            self._failures += 1
            self._ctx.publish(
                RealtimeReconnecting(attempt=self._failures, reason=reason, pause_s=pause_s)
            )
            await asyncio.sleep(pause_s)
            await asyncio.wait([hung_up])
            try:
                return await self._place(self._failures)
            except EnvironmentProblem as problem:
                if not worth_retrying(problem):
                    raise
                reason = problem.message
                wanted_s = wanted_pause_s(problem)

    async def _drop(self, inlet: Link) -> None:
        with suppress(LinkClosed):
            while True:
                self.unsent_ms += audio.duration_ms(await inlet.get())
