"""Roll-over: before a session expires another one takes over, when nobody speaks.

A server ends a session after an hour, in mid-sentence. So a second call is made while the first
still serves, and the two change places at a turn boundary.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import Backoff, EnvironmentProblem
from rtpipe_plugins.peers.realtime.call.hang_up import TAIL_S
from rtpipe_plugins.peers.realtime.errors import wanted_pause_s
from rtpipe_plugins.peers.realtime.options import RollOver

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from logging import Logger

    from rtpipe import Clock
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall

_EARLY_SHARE = 0.4
_LATE_SHARE = 0.15
_HOUR_S = 3600.0
_LEAST_S = 1.0
"""Servers tell times in whole seconds."""
_AGAIN_S, _LATEST_AGAIN_S = 2.0, 15.0
SHORTEST_S = 5.0
"""Whose sessions are shorter would be called all the time: their end is a loss."""
_QUIET_S = 0.6
"""A visitor who has begun to speak is known to the server only a while later."""


class Schedule:
    """When the next session is made and takes over. Times are pipeline seconds.

    Args:
        options: What the user wants.
        began_at: When the session began.
        expires_at: When it will end.
    """

    def __init__(self, options: RollOver, *, began_at: float, expires_at: float) -> None:
        life_s = expires_at - began_at
        before_s = min(options.before_s, life_s * _EARLY_SHARE)
        latest_s = max(min(options.latest_s, life_s * _LATE_SHARE, before_s), _LEAST_S)
        self.place_at = expires_at - before_s
        self.force_at = max(expires_at - latest_s, self.place_at)
        self._hurry_at = (self.place_at + self.force_at) / 2

    @classmethod
    def soon(cls, now: float) -> Schedule:
        """Return that of a call which is wanted now, and takes over when nobody speaks."""
        options = RollOver(before_s=_HOUR_S, latest_s=_LEAST_S)
        schedule = cls(options, began_at=now - _HOUR_S, expires_at=now + _HOUR_S)
        schedule.place_at = now
        return schedule

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
    """The call that is to take over: made in the background when its time has come.

    Args:
        schedule: When.
        place: Makes it.
        clock: The pipeline's time.
        log: The stage's.
    """

    def __init__(
        self,
        schedule: Schedule,
        place: Callable[[], Coroutine[Any, Any, ActiveCall]],
        *,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._schedule = schedule
        self._place = place
        self._clock = clock
        self._log = log
        self._placing: asyncio.Task[ActiveCall] | None = None
        self._next_at = schedule.place_at
        self._backoff = Backoff(_AGAIN_S, _LATEST_AGAIN_S, jitter=0.0)
        self._failures = 0

    async def due(self, *, idle: bool, quiet_s: float, heard_s: float) -> bool:
        """Return whether it stands and this is the moment; sees to it that it is being made.

        See `Schedule.may_swap`.
        """
        now = self._clock.now()
        if self._placing is None:
            if now >= self._next_at:
                self._placing = asyncio.create_task(self._place())
            return False
        if not self._placing.done():
            return False
        problem = self._placing.exception()
        if problem is None and (call := self._placing.result()).lost.done():
            problem = call.lost.result()
            await call.close()
        if problem is not None:
            self._log.warning("the next call could not be made beforehand: %s", problem)
            wanted_s = wanted_pause_s(problem) if isinstance(problem, EnvironmentProblem) else None
            pause_s = self._backoff.pause_s(self._failures, wanted_s)
            self._placing, self._next_at = None, now + pause_s
            self._failures += 1
            return False
        return self._schedule.may_swap(now, idle=idle, quiet_s=quiet_s, heard_s=heard_s)

    def take(self) -> ActiveCall | None:
        """Return the call, where it stands; it is then no longer ours."""
        placing = self._placing
        if placing is None or not placing.done() or placing.exception() is not None:
            return None
        call = placing.result()
        if call.lost.done():
            return None
        self._placing = None
        return call

    async def close(self) -> None:
        """Let go of a call that will not be needed."""
        placing, self._placing = self._placing, None
        if placing is None:
            return
        placing.cancel()
        await asyncio.wait([placing])
        if not placing.cancelled() and placing.exception() is None:
            await placing.result().close()
