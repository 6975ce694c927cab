"""Before a session expires another one takes over, at a moment when nobody speaks.

A server ends a session after an hour, in mid-sentence. So a second call is made while the first
still serves, and the two change places at a turn boundary.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import Field

from rtpipe import Options
from rtpipe_plugins.peers.realtime.call.hang_up import TAIL_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from logging import Logger

    from rtpipe import Clock
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall

_EARLY_SHARE = 0.4
_LATE_SHARE = 0.15
_LEAST_S = 1.0
"""Servers tell times in whole seconds."""
_AGAIN_S = 2.0
_QUIET_S = 0.6
"""A visitor who has begun to speak is known to the server only a while later."""


class RollOver(Options):
    """How the next call takes over before the server ends this one."""

    before_s: float = Field(default=60.0, gt=0)
    """So long before the session's end the next call is made. A session shorter than two and a half
    times this gives 40 % of its length."""
    latest_s: float = Field(default=15.0, gt=0)
    """So long before the end the calls change places, whoever is speaking; 15 % of a session that
    is short."""


class Schedule:
    """When one session's successor is made and takes over. Times are pipeline seconds.

    Args:
        options: What the user wants.
        began_at: When the session began.
        expires_at: When it will end.
    """

    def __init__(self, options: RollOver, *, began_at: float, expires_at: float) -> None:
        life_s = expires_at - began_at
        before_s = min(options.before_s, life_s * _EARLY_SHARE)
        latest_s = max(min(options.latest_s, life_s * _LATE_SHARE, before_s), _LEAST_S)
        self.dial_at = expires_at - before_s
        self.force_at = max(expires_at - latest_s, self.dial_at)
        self._hurry_at = (self.dial_at + self.force_at) / 2

    def may_swap(self, now: float, *, idle: bool, quiet_s: float, heard_s: float) -> bool:
        """Return whether this is the moment.

        Args:
            now: The time.
            idle: Whether nobody speaks and no answer is owed, as far as the server has said.
            quiet_s: For how long nothing audible has been sent.
            heard_s: For how long nothing audible has been heard: when the server has said that an
                answer is over, its last sound still is in our jitter buffer.
        """
        if now >= self.force_at:
            return True
        over = idle and heard_s >= TAIL_S
        return over and (quiet_s >= _QUIET_S or now >= self._hurry_at)


class NextSession:
    """The line that is to take over: made in the background when its time has come.

    Args:
        schedule: When.
        dial: Makes it.
        clock: The pipeline's time.
        log: The stage's.
    """

    def __init__(
        self,
        schedule: Schedule,
        dial: Callable[[], Coroutine[Any, Any, ActiveCall]],
        *,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._schedule = schedule
        self._dial = dial
        self._clock = clock
        self._log = log
        self._dialling: asyncio.Task[ActiveCall] | None = None
        self._next_at = schedule.dial_at

    async def due(self, *, idle: bool, quiet_s: float, heard_s: float) -> bool:
        """Return whether it stands and this is the moment; sees to it that it is being made.

        See `Schedule.may_swap`.
        """
        now = self._clock.now()
        if self._dialling is None:
            if now >= self._next_at:
                self._dialling = asyncio.create_task(self._dial())
            return False
        if not self._dialling.done():
            return False
        problem = self._dialling.exception()
        if problem is None and (line := self._dialling.result()).lost.done():
            problem = line.lost.result()
            await line.close()
        if problem is not None:
            self._log.warning("the next call could not be made beforehand: %s", problem)
            self._dialling, self._next_at = None, now + _AGAIN_S
            return False
        return self._schedule.may_swap(now, idle=idle, quiet_s=quiet_s, heard_s=heard_s)

    def take(self) -> ActiveCall | None:
        """Return the line, where it stands; the next one is made by another successor."""
        dialling = self._dialling
        if dialling is None or not dialling.done() or dialling.exception() is not None:
            return None
        line = dialling.result()
        if line.lost.done():
            return None
        self._dialling = None
        return line

    async def close(self) -> None:
        """Let go of a line that will not be needed."""
        dialling, self._dialling = self._dialling, None
        if dialling is None:
            return
        dialling.cancel()
        await asyncio.wait([dialling])
        if not dialling.cancelled() and dialling.exception() is None:
            await dialling.result().close()
