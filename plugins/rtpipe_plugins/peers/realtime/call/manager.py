"""Keeping a conversation in a call: over as many calls as it takes, and as many pauses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.call.budget import Budget, BudgetMeter
from rtpipe_plugins.peers.realtime.call.hang_up import HangUp
from rtpipe_plugins.peers.realtime.call.outage import Outage
from rtpipe_plugins.peers.realtime.call.reconnect import Reconnect
from rtpipe_plugins.peers.realtime.call.roll_over import NextSession, Schedule
from rtpipe_plugins.peers.realtime.dialects.openai.history import History
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of
from rtpipe_plugins.peers.realtime.errors import BudgetSpent
from rtpipe_plugins.peers.realtime.events import (
    RealtimeBudgetSpent,
    RealtimeConnected,
    RealtimeDisconnected,
    RealtimeLost,
    RealtimeRolledOver,
    ServerEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import TypeAlias

    from rtpipe import Event, Link, StageContext, Timeline
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.call.factory import CallFactory
    from rtpipe_plugins.peers.realtime.latency.meter import LatencyMeter
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_plugins.peers.realtime.turn_taking import TurnTaking

    Forward: TypeAlias = Callable[[ActiveCall], Coroutine[Any, Any, None]]

_LOOK_S = 0.1
_DRAIN_S = 0.1
_STILL_THERE_S = 10.0
"""So long a visitor waits for an answer whose question the lost call took with it."""


class CallManager:
    """Has the line that serves, replaces it when it is lost or about to expire, and ends it.

    Args:
        options: The stage's.
        ctx: The stage's.
        dialler: Makes the lines.
        meter: Hears what is sent.
        turns: Says who is speaking.
    """

    def __init__(
        self,
        options: RealtimeOptions,
        ctx: StageContext,
        dialler: CallFactory,
        meter: LatencyMeter,
        turns: TurnTaking,
    ) -> None:
        self._options = options
        self._ctx = ctx
        self._dialler = dialler
        self._meter = meter
        self._turns = turns
        self._history = History(options.history_items)
        self._purse = BudgetMeter(options.budget or Budget())
        self._successor: NextSession | None = None
        self._partings: set[asyncio.Task[None]] = set()
        self._farewell = "we hung up"
        self.line: ActiveCall | None = None
        """The line that serves; None while there is none."""

    async def open(self) -> None:
        """Make the first line; see `CallFactory.first` for what is raised."""
        await self._dialler.find()
        line = await self._dialler.first()
        self._serve_with(line)
        self._say_connected(line)

    async def converse(self, inlet: Link, timeline: Timeline, forward: Forward) -> None:
        """Hold the conversation until nothing is left to be said.

        Args:
            inlet: The visitor's audio.
            timeline: Of the model's; made of those of successive calls.
            forward: Carries it from a line onto that, until the line's `received` closes.

        Raises:
            NotConnected: The call is lost, and is not to be called again.
            CallRefused: The server has ended the conversation for good.
            EnvironmentProblem: No other call could be had.
            BudgetSpent: It has cost enough.
        """
        line = self.line
        while line is not None:
            line.transport.incoming.begin()
            timeline.resume()
            line.transport.outgoing.attach(self._meter.listened(inlet))
            if await self._serve(line, forward(line)):
                return
            line = await self._next(line, inlet)

    def take(self, line: ActiveCall, event: Event) -> None:
        """Take note of what happened on a line."""
        if not isinstance(event, ServerEvent) or line is not self.line:
            return
        now = self._ctx.now()
        self._history.take(event.data, now)
        if event.type == "response.done":
            tokens = object_of(object_of(event.data, "response"), "usage").get("output_tokens")
            if isinstance(tokens, int):
                self._purse.generated(now, tokens)

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        line, self.line = self.line, None
        try:
            if line is not None:
                self._part_with(line)
                self._conclude(line, self._farewell)
            if self._successor is not None:
                await self._successor.close()
            await asyncio.gather(*self._partings, return_exceptions=True)
        finally:
            await self._dialler.close()

    # -- a line serves -----------------------------------------------------------------------------

    def _serve_with(self, line: ActiveCall) -> int:
        """Let `line` serve from now on; returns how many items it was told."""
        self.line = line
        now = self._ctx.now()
        self._purse.connected(now)
        items = self._history.replay()
        line.replay(items)
        expires_at, options = line.expires_at, self._options.roll_over
        if options and expires_at is not None and expires_at > now:
            self._successor = NextSession(
                Schedule(options, began_at=now, expires_at=expires_at),
                self._dial,
                clock=self._ctx.clock,
                log=self._ctx.log,
            )
        return len(items)

    async def _serve(self, line: ActiveCall, forward: Coroutine[Any, Any, None]) -> bool:
        """Let `line` serve; returns whether the conversation is over, or else goes on elsewhere."""
        forwarding = asyncio.create_task(forward)
        either: list[asyncio.Future[Any]] = [forwarding, line.lost]
        ending = HangUp()
        try:
            while not self._over(ending, line):
                await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if line.lost.done():
                    return False
                if forwarding.done():
                    forwarding.result()
                self._mind_the_budget(line)
                if await self._successor_is_due(line):
                    return False
            line.transport.incoming.received.close()
            await asyncio.wait({forwarding}, timeout=_DRAIN_S)
            if forwarding.done():
                forwarding.result()
            return True
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)

    def _over(self, ending: HangUp, line: ActiveCall) -> bool:
        if self._ctx.stopping:
            return True
        conversation, outgoing = line.conversation, line.transport.outgoing
        over = outgoing.inlet_ended and ending.reached(
            self._ctx.now(),
            idle=conversation.idle,
            transcribing=conversation.transcribing,
            hangover_s=conversation.hangover_s,
            sent_at=outgoing.audible_at,
            heard_at=line.transport.incoming.audible_at,
            news_at=line.news_at,
        )
        if over and ending.gave_up:
            self._ctx.log.warning("gave up waiting for the last answer")
        return over

    def _mind_the_budget(self, line: ActiveCall) -> None:
        reason = self._purse.hang_up(self._ctx.now(), idle=line.conversation.idle)
        if reason is not None:
            self._farewell = f"the budget is spent: {reason}"
            self._ctx.publish(RealtimeBudgetSpent(reason=reason))
            raise BudgetSpent(self._farewell, help="raise `budget`, if it may cost more")

    async def _successor_is_due(self, line: ActiveCall) -> bool:
        if self._successor is None:
            return False
        conversation, transport, now = line.conversation, line.transport, self._ctx.now()
        return await self._successor.due(
            idle=conversation.idle and not conversation.transcribing,
            quiet_s=now - transport.outgoing.audible_at,
            heard_s=now - transport.incoming.audible_at,
        )

    # -- from one line to the next -----------------------------------------------------------------

    async def _next(self, line: ActiveCall, inlet: Link) -> ActiveCall | None:
        """Return the line that serves after `line`; None when the conversation ends before."""
        self._history.break_off(self._ctx.now())
        successor, self._successor = self._successor, None
        standing = successor.take() if successor is not None else None
        if not line.lost.done():
            assert standing is not None, "only a line that stands can be due"
            self._roll_over(line, standing)
            return standing
        if successor is not None:
            await successor.close()
        return await self._recover(line, standing, inlet)

    def _roll_over(self, line: ActiveCall, next: ActiveCall) -> None:
        forced = not line.conversation.idle
        if forced:  # whoever waits for the end of what the model was saying must hear of one
            self._conclude(line, "the session was about to expire")
        self._part_with(line)
        items = self._serve_with(next)
        next.create(line.unrepeated)
        if forced:
            self._say_connected(next)
            self._answer_what_was_asked(next)
        self._ctx.publish(RealtimeRolledOver(call_id=next.call_id, items=items, forced=forced))

    async def _recover(
        self, line: ActiveCall, standing: ActiveCall | None, inlet: Link
    ) -> ActiveCall | None:
        """Go on after a loss; where the next line stands already, with that."""
        why, owed = line.lost.result(), not line.conversation.idle
        self.line = None
        self._purse.disconnected(self._ctx.now())
        self._conclude(line, self._farewell)
        self._part_with(line)
        options = self._options.reconnect
        if not isinstance(why, NotConnected) or (options is False and standing is None):
            if standing is not None:
                self._part_with(standing)
            raise why
        outage = Outage(options or Reconnect(), self._dial, self._ctx)
        next = standing or await outage.end(inlet, str(why))
        if next is None:
            return None
        self._serve_with(next)
        self._say_connected(next, outage)
        next.create(line.unrepeated)
        if owed and outage.lasted_s < _STILL_THERE_S:
            self._answer_what_was_asked(next)
        return next

    def _answer_what_was_asked(self, line: ActiveCall) -> None:
        if self._history.answer_owed or line.unrepeated:
            line.carry_out(line.conversation.respond({}))

    async def _dial(self) -> ActiveCall:
        return await self._dialler.dial(self._options.connect_timeout_s)

    def _say_connected(self, line: ActiveCall, outage: Outage | None = None) -> None:
        account = self._dialler.account
        self._ctx.publish(
            RealtimeConnected(
                call_id=line.call_id,
                provider=account.provider,
                model=self._options.model,
                host=account.host,
                outage_s=outage.lasted_s if outage else 0.0,
                unsent_ms=outage.unsent_ms if outage else 0.0,
            )
        )

    def _conclude(self, line: ActiveCall, farewell: str) -> None:
        """Say that a line is over: why it was lost, or else why we hang up."""
        self._turns.end()
        lost = str(line.lost.result()) if line.lost.done() else None
        line.conclude()
        self._ctx.publish(
            RealtimeDisconnected(reason=farewell) if lost is None else RealtimeLost(reason=lost)
        )

    def _part_with(self, line: ActiveCall) -> None:
        """Hang up in the background: the next line must not wait for it."""
        line.transport.outgoing.stop()
        parting = asyncio.create_task(line.close())
        self._partings.add(parting)
        parting.add_done_callback(self._parted)

    def _parted(self, parting: asyncio.Task[None]) -> None:
        self._partings.discard(parting)
        if not parting.cancelled() and (error := parting.exception()) is not None:
            self._ctx.log.warning("could not let go of a call: %r", error)
