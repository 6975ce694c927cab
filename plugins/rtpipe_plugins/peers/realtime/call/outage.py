"""An outage: the visitor is not heard, and calls are placed (with back-off) until one stands."""

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
    """One loss of the call, until there is another.

    Args:
        options: How to call again.
        place: Places one call.
        ctx: The stage's.
    """

    def __init__(
        self, options: Reconnect, place: Callable[[], Awaitable[ActiveCall]], ctx: StageContext
    ) -> None:
        self._options = options
        self._place = place
        self._ctx = ctx
        self._began_at = ctx.now()
        self._reason = ""
        self.unsent_ms = 0.0
        """How much of the visitor's audio was dropped."""

    @property
    def lasted_s(self) -> float:
        """For how long there has been no call."""
        return self._ctx.now() - self._began_at

    async def end(self, inlet: Link, reason: str) -> ActiveCall | None:
        """Return the next call; None when the input has ended or the pipeline stops before.

        What is live goes on meanwhile and is dropped, not queued: nobody wants to be answered to
        what he said a minute ago. What waits, as a file does, waits.

        Args:
            inlet: The visitor's audio.
            reason: Why the call was lost.

        Raises:
            CallRefused: The server will not have another.
            EnvironmentProblem: It took too long, or cannot succeed.
            StageError: The server's answer cannot be used.
        """
        placing = asyncio.create_task(self._place_until_given_up(reason))
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

    async def _place_until_given_up(self, reason: str) -> ActiveCall:
        try:
            async with asyncio.timeout(self._options.give_up_s):
                return await self._place_until_one_stands(reason)
        except TimeoutError:
            raise EnvironmentProblem(
                f"no call for {self._options.give_up_s:g} s: {self._reason}",
                exit_code=ExitCode.TEMPORARY,
            ) from None

    async def _place_until_one_stands(self, reason: str) -> ActiveCall:
        wanted_s: float | None = None
        failures = 0
        while True:
            self._reason = reason
            pause_s = self._options.backoff.pause_s(failures, wanted_s)
            failures += 1
            self._ctx.publish(
                RealtimeReconnecting(attempt=failures, reason=reason, pause_s=pause_s)
            )
            await asyncio.sleep(pause_s)
            try:
                return await self._place()
            except EnvironmentProblem as problem:
                if not worth_retrying(problem):
                    raise
                reason = problem.message
                wanted_s = wanted_pause_s(problem)

    async def _drop(self, inlet: Link) -> None:
        with suppress(LinkClosed):
            while True:
                self.unsent_ms += audio.duration_ms(await inlet.get())
