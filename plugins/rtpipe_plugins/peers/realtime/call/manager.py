"""The call manager: a conversation is kept over as many calls as it takes, and as many outages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.call.budget import BudgetMeter
from rtpipe_plugins.peers.realtime.call.closing import Closing
from rtpipe_plugins.peers.realtime.call.handover import PROVED_S, Handover
from rtpipe_plugins.peers.realtime.call.hang_up import HangUp
from rtpipe_plugins.peers.realtime.call.outage import Outage
from rtpipe_plugins.peers.realtime.call.roll_over import SHORTEST_S, NextSession, Schedule
from rtpipe_plugins.peers.realtime.call.session_id import new_session_id
from rtpipe_plugins.peers.realtime.errors import AnswerGivenUp, BudgetSpent
from rtpipe_plugins.peers.realtime.events import (
    RealtimeAnswerGivenUp,
    RealtimeBudgetSpent,
    RealtimeCalling,
    RealtimeConnected,
    RealtimeDisconnected,
    RealtimeLost,
    RealtimeRolledOver,
    ServerEvent,
)
from rtpipe_plugins.peers.realtime.options import Budget, Reconnect
from rtpipe_plugins.peers.realtime.response_events import RealtimeTokensUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from typing import TypeAlias

    from rtpipe import Event, Link, StageContext, Timeline
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.call.factory import CallFactory
    from rtpipe_plugins.peers.realtime.dialects.conversation import Conversation, History, Output
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_plugins.peers.realtime.transports.transport import Inlet
    from rtpipe_plugins.peers.realtime.turn_taking import TurnTaking

    Forward: TypeAlias = Callable[[ActiveCall], Coroutine[Any, Any, None]]

_LOOK_S = 0.1
_DRAIN_S = 0.1


class CallManager:
    """Has the call that serves, replaces it when it is lost or about to expire, and ends it.

    Args:
        options: The stage's.
        ctx: The stage's.
        factory: Makes the calls.
        metered: Returns an inlet that tells what is taken from it, and when.
        turns: Says who is speaking.
    """

    def __init__(
        self,
        options: RealtimeOptions,
        ctx: StageContext,
        factory: CallFactory,
        metered: Callable[[Inlet], Inlet],
        turns: TurnTaking,
    ) -> None:
        self._options = options
        self._ctx = ctx
        self._factory = factory
        self._metered = metered
        self._turns = turns
        self._history: History
        self._handover: Handover
        self._outage: Outage | None = None
        self._serving_since = 0.0
        self._budget = BudgetMeter(options.budget or Budget())
        self._next_session: NextSession | None = None
        self._closing = Closing(ctx.log)
        self._reason = "we hung up"
        self._session_id = new_session_id(ctx.clock)
        self.call: ActiveCall | None = None
        """The call that serves; None while there is none."""

    async def open(self) -> None:
        """Make the first call; see `CallFactory.first` for what is raised."""
        await self._factory.find()
        self._history = self._factory.dialect.history()
        self._handover = Handover(self._history)
        call = await self._factory.first(self._say_calling)
        self._serve_with(call)
        self._say_connected(call)
        call.listen()

    async def converse(self, inlet: Link, timeline: Timeline, forward: Forward) -> None:
        """Hold the conversation until nothing is left to be said.

        Args:
            inlet: The visitor's audio.
            timeline: Of the model's audio; made of those of successive calls.
            forward: Carries it from a call onto that, until the call's `received` closes.

        Raises:
            NotConnected: The call is lost, and is not to be called again.
            CallRefused: The server has ended the conversation for good.
            EnvironmentProblem: No other call could be had.
            BudgetSpent: It has cost enough.
            AnswerGivenUp: The last answer has not come.
        """
        call = self.call
        while call is not None:
            call.transport.incoming.begin()
            timeline.resume()
            call.transport.outgoing.attach(self._metered(inlet))
            if await self._serve(call, forward(call)):
                return
            call = await self._next(call, inlet)

    def carry_out(self, request: Callable[[Conversation], Iterable[Output]]) -> None:
        """Do what the conversation answers to a request.

        Raises:
            NotConnected: There is no call.
            StageError: A command is larger than the far end takes.
        """
        call = self._serving()
        self._handover.tell_at_once(call)
        call.carry_out(request(call.conversation))

    def update(self, session: Mapping[str, Any]) -> None:
        """Change the session, and those of later calls; see `carry_out`."""
        call = self._serving()
        self._handover.tell_at_once(call)
        self._factory.dialect.update(session)
        call.carry_out(call.conversation.update(session))

    def change(self, options: RealtimeOptions, session: Mapping[str, Any] | None) -> None:
        """Go by other options, in later calls too.

        Args:
            options: What the stage goes by from now on.
            session: What the call that stands is told; None: another one takes over when nobody
                speaks, and is told what was said.
        """
        self._options = options
        self._factory.change(options)
        call = self.call
        if session is None:
            self._renew()
        elif session and call is not None:
            self._handover.tell_at_once(call)
            call.carry_out(call.conversation.update(session))

    def take(self, call: ActiveCall, what: Event) -> None:
        """Take note of what happened in a call."""
        if call is not self.call:
            return
        match what:
            case RealtimeTokensUsed(output_tokens=tokens):
                self._budget.generated(self._ctx.now(), tokens)
            case ServerEvent(data=data, usable=usable):
                self._history.take(data if usable is None else usable, self._ctx.now())

    def tell(self, call: ActiveCall) -> None:
        """See to it that the call knows what was said before it: somebody begins to speak."""
        if call is self.call:
            self._handover.tell_at_once(call)

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        call, self.call = self.call, None
        try:
            if call is not None:
                self._hang_up(call)
                self._conclude(call, self._reason)
            if self._next_session is not None:
                await self._next_session.close()
            await self._closing.end()
        finally:
            await self._factory.close()

    def _serving(self) -> ActiveCall:
        if self.call is None:
            raise NotConnected("there is no call")
        return self.call

    # -- a call serves -----------------------------------------------------------------------------

    def _serve_with(self, call: ActiveCall) -> None:
        """Let `call` serve from now on."""
        self.call = call
        self._serving_since = now = self._ctx.now()
        self._budget.connected(now)
        expires_at, options = call.expires_at, self._options.roll_over
        if options and expires_at is not None and expires_at - now >= SHORTEST_S:
            self._schedule(Schedule(options, began_at=now, expires_at=expires_at))

    def _renew(self) -> None:
        """Let another call take over as soon as nobody speaks."""
        if self.call is None:
            return  # the next one is another anyway
        before, now = self._next_session, self._ctx.now()
        self._schedule(Schedule.soon(now))
        if before is not None:
            self._closing.begin(before.close())

    def _schedule(self, schedule: Schedule) -> None:
        clock, log = self._ctx.clock, self._ctx.log
        self._next_session = NextSession(schedule, self._place_beside, clock=clock, log=log)

    async def _serve(self, call: ActiveCall, forward: Coroutine[Any, Any, None]) -> bool:
        """Let `call` serve; returns whether the conversation is over, or else goes on elsewhere."""
        forwarding = asyncio.create_task(forward)
        either: list[asyncio.Future[Any]] = [forwarding, call.lost]
        hang_up = HangUp(self._options.patience_s)
        try:
            while not self._over(hang_up, call):
                await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if call.lost.done():
                    return False
                if forwarding.done():
                    forwarding.result()
                self._check_budget(call)
                self._handover.tell(call, self._ctx.now())
                if await self._roll_over_due(call):
                    return False
            call.transport.incoming.received.close()
            await asyncio.wait({forwarding}, timeout=_DRAIN_S)
            if forwarding.done():
                forwarding.result()
            self._say_given_up(hang_up)
            return True
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)

    def _over(self, hang_up: HangUp, call: ActiveCall) -> bool:
        if self._ctx.stopping:
            return True
        conversation, outgoing = call.conversation, call.transport.outgoing
        now = self._ctx.now()
        return outgoing.inlet_ended and hang_up.reached(
            now,
            idle=conversation.idle,
            answering=conversation.answering,
            transcribing=conversation.transcribing,
            hangover_s=conversation.hangover_s,
            sent_at=outgoing.audible_at,
            heard_at=call.transport.incoming.audible_at,
            news_at=now if conversation.awaits_us else call.news_at,
        )

    def _say_given_up(self, hang_up: HangUp) -> None:
        """Say that the last answer has not come; nothing, where it has."""
        silent_s = hang_up.gave_up_after_s
        if silent_s is None or self._ctx.stopping:
            return
        given_up = RealtimeAnswerGivenUp(silent_s=round(silent_s, 1))
        self._reason = given_up.line()
        self._ctx.publish(given_up)
        raise AnswerGivenUp(self._reason, help="where the server is only slow: raise `patience_s`")

    def _check_budget(self, call: ActiveCall) -> None:
        reason = self._budget.hang_up(self._ctx.now(), idle=call.conversation.idle)
        if reason is not None:
            self._reason = f"the budget is spent: {reason}"
            self._ctx.publish(RealtimeBudgetSpent(reason=reason))
            raise BudgetSpent(self._reason, help="raise `budget`, if it may cost more")

    async def _roll_over_due(self, call: ActiveCall) -> bool:
        if self._next_session is None:
            return False
        conversation, transport, now = call.conversation, call.transport, self._ctx.now()
        return await self._next_session.due(
            idle=conversation.idle and not conversation.transcribing,
            quiet_s=now - transport.outgoing.audible_at,
            heard_s=now - transport.incoming.audible_at,
        )

    # -- from one call to the next -----------------------------------------------------------------

    async def _next(self, call: ActiveCall, inlet: Link) -> ActiveCall | None:
        """Return the call that serves after `call`; None when the conversation ends before."""
        self._history.break_off(self._ctx.now())
        next_session, self._next_session = self._next_session, None
        standing = next_session.take() if next_session is not None else None
        if not call.lost.done():
            assert standing is not None, "only a call that stands can be due"
            self._roll_over(call, standing)
            return standing
        if next_session is not None:
            await next_session.close()
        return await self._recover(call, standing, inlet)

    def _roll_over(self, call: ActiveCall, next: ActiveCall) -> None:
        forced = not call.conversation.idle
        self._hang_up(call)
        if forced:  # whoever waits for the end of what the model was saying must hear of one
            self._conclude(call, "the session was about to expire")
        self._handover.leave(call, self._ctx.now(), owed=forced)
        self._serve_with(next)
        if forced:
            self._say_connected(next)
        self._handover.due(self._ctx.now())
        items = self._handover.tell(next, self._ctx.now())
        if not forced:  # nobody was speaking: whoever speaks next may be somebody else
            self._session_id = new_session_id(self._ctx.clock)
        self._ctx.publish(
            RealtimeRolledOver(
                call_id=next.call_id, items=items, forced=forced, session_id=self._session_id
            )
        )

    async def _recover(
        self, call: ActiveCall, standing: ActiveCall | None, inlet: Link
    ) -> ActiveCall | None:
        """Go on after a loss; where the next call stands already, with that."""
        why, owed = call.lost.result(), not call.conversation.idle
        self.call = None
        self._budget.disconnected(self._ctx.now())
        hung_up = self._hang_up(call)
        self._conclude(call, self._reason)
        options = self._options.reconnect
        if not isinstance(why, NotConnected) or (options is False and standing is None):
            if standing is not None:
                self._hang_up(standing)
            raise why
        self._handover.leave(call, self._ctx.now(), owed=owed)
        outage = self._outage_now(options or Reconnect())
        next = standing or await outage.end(inlet, str(why), hung_up)
        if next is None:
            return None
        self._serve_with(next)
        self._say_connected(next, outage)
        self._handover.due(self._ctx.now() + (PROVED_S if outage.calls else 0.0))
        self._handover.tell(next, self._ctx.now())
        next.listen()
        return next

    def _outage_now(self, options: Reconnect) -> Outage:
        """Return the outage that has begun, or goes on since the call stood only briefly."""
        brief = self._ctx.now() - self._serving_since < options.max_s
        if self._outage is not None and brief:
            self._outage.goes_on()
        else:
            self._outage = Outage(options, self._place, self._ctx)
        return self._outage

    async def _place(self, attempt: int) -> ActiveCall:
        self._say_calling(attempt, self._options.connect_timeout_s)
        return await self._factory.place(self._options.connect_timeout_s)

    async def _place_beside(self) -> ActiveCall:
        """Return a call that will serve later: what comes in it till then is nobody's answer."""
        call = await self._factory.place(self._options.connect_timeout_s)
        call.listen()
        return call

    def _say_calling(self, attempt: int, timeout_s: float) -> None:
        host, timeout_s = self._factory.account.host, round(timeout_s, 3)
        self._ctx.publish(RealtimeCalling(attempt=attempt, timeout_s=timeout_s, host=host))

    def _say_connected(self, call: ActiveCall, outage: Outage | None = None) -> None:
        account = self._factory.account
        self._ctx.publish(
            RealtimeConnected(
                call_id=call.call_id,
                provider=account.provider,
                model=self._options.model,
                host=account.host,
                outage_s=outage.silent_s if outage else 0.0,
                unsent_ms=outage.unsent_ms if outage else 0.0,
                session_id=self._session_id,
            )
        )

    def _conclude(self, call: ActiveCall, reason: str) -> None:
        """Say that a call is over: why it was lost, or else why we hang up."""
        lost = str(call.lost.result()) if call.lost.done() else None
        self._turns.end()
        call.conclude()
        invalid = call.conversation.invalid_events
        self._ctx.publish(
            RealtimeDisconnected(reason=reason, invalid_events=invalid)
            if lost is None
            else RealtimeLost(reason=lost, invalid_events=invalid)
        )

    def _hang_up(self, call: ActiveCall) -> asyncio.Task[None]:
        """Hang up in the background; returns what is done when that is over."""
        call.transport.outgoing.stop()
        return self._closing.begin(call.close())
