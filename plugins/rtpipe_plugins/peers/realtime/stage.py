"""The stage `realtime`: the visitor's audio goes in, the model's comes out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe import (
    CANONICAL,
    AudioFormat,
    Event,
    Link,
    NotConnected,
    QueuePolicy,
    Send,
    StageContext,
    Timeline,
    action,
    audio,
)
from rtpipe.events import (
    TurnAnswerCut,
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnUserStarted,
    TurnUserStopped,
)
from rtpipe_plugins.peers.realtime.account import Mask
from rtpipe_plugins.peers.realtime.actions import Actions
from rtpipe_plugins.peers.realtime.call.factory import CallFactory
from rtpipe_plugins.peers.realtime.call.manager import CallManager
from rtpipe_plugins.peers.realtime.dialects.dialect import (
    AnswerBegins,
    AnswerEnds,
    Happening,
    Hushed,
    ToolCall,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.events import (
    SERVER_EVENT_TYPES,
    AssistantTranscript,
    RealtimeBudgetSpent,
    RealtimeConnected,
    RealtimeDisconnected,
    RealtimeLost,
    RealtimeMedia,
    RealtimeReconnecting,
    RealtimeRolledOver,
    ToolCalled,
    ToolFailed,
    ToolReturned,
    UserTranscript,
)
from rtpipe_plugins.peers.realtime.latency.meter import LatencyMeter
from rtpipe_plugins.peers.realtime.latency.turns import TurnMeasured
from rtpipe_plugins.peers.realtime.tools.toolbox import Toolbox
from rtpipe_plugins.peers.realtime.transports.websocket.loudspeaker_position import (
    PLAYBACK_EVENTS,
    LoudspeakerPosition,
)
from rtpipe_plugins.peers.realtime.turn_taking import TurnTaking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rtpipe import Finding
    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_MEASURE_S = 5.0


class Realtime(Actions):
    """Holds a spoken conversation with a model over the OpenAI Realtime API.

    The call stands when `open` returns. At the end of the input the conversation goes on until the
    last answer has been played.

    - realtime:
        voice: marin
        instructions: You are a museum's information desk.
        turn_detection: {type: server_vad, silence_duration_ms: 500}
        session: {max_output_tokens: 400}
      on_error: restart
      fallback: {realtime: {provider: embedded}}
    """

    kind = "realtime"
    accepts: ClassVar[AudioFormat | None] = CANONICAL
    exact_ms = 20.0
    # A stall of the machine must not cost the visitor a syllable; trimming takes the lag back.
    inlet_policy: ClassVar[QueuePolicy | None] = QueuePolicy(max_ms=200)
    publishes: ClassVar[tuple[type[Event] | str, ...]] = (
        RealtimeConnected,
        RealtimeDisconnected,
        RealtimeLost,
        RealtimeMedia,
        RealtimeReconnecting,
        RealtimeRolledOver,
        RealtimeBudgetSpent,
        TurnUserStarted,
        TurnUserStopped,
        TurnAnswerStarted,
        TurnAnswerStopped,
        TurnAnswerCut,
        UserTranscript,
        AssistantTranscript,
        ToolCalled,
        ToolReturned,
        ToolFailed,
        TurnMeasured,
        *SERVER_EVENT_TYPES,
    )

    def __init__(self, options: RealtimeOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._gauge = ""
        self._loudspeaker = LoudspeakerPosition()
        self._dialler = CallFactory(
            options, self._loudspeaker, on_event=self._happened, clock=ctx.clock, log=ctx.log
        )
        self._meter = LatencyMeter(ctx)
        self._turns = TurnTaking(ctx, self._loudspeaker)
        self._keeper = CallManager(options, ctx, self._dialler, self._meter, self._turns)
        self._toolbox = Toolbox(options.tools, ctx, Mask(options.secrets()))

    @classmethod
    def has_clock(cls, options: RealtimeOptions) -> bool:  # noqa: ARG003 - a call always has one
        """A call moves at the speed of speech."""
        return True

    @classmethod
    def examine(cls, options: RealtimeOptions) -> Iterator[Examined]:
        """Look for the key and the tools' programs; `embedded`: for its documents and extras."""
        from rtpipe_plugins.peers.realtime import examination

        return examination.examine(options)

    @classmethod
    def probe(cls, options: RealtimeOptions) -> AsyncIterator[Finding]:
        """Ask the server whether it is there, and see whether audio gets through."""
        from rtpipe_plugins.peers.realtime import examination

        return examination.probe(options)

    async def open(self) -> None:
        """Place the call and wait for the session.

        Raises:
            EnvironmentProblem: No key, or nobody there who can take the call.
            CallRefused: The server will not have it.
            StageError: The server's answer cannot be used.
        """
        self.ctx.on(PLAYBACK_EVENTS, self._loudspeaker.take)
        self._meter.begin(lambda: self._keeper.line)
        if self.options.interrupt_on:
            self.ctx.on(self.options.interrupt_on, self._interrupt)
        await self._keeper.open()

    async def converse(self, inlet: Link, send: Send) -> None:
        """Send `inlet`, forward what comes back, and end when the last word has been played.

        Raises:
            NotConnected: The far end is gone, with `reconnect: false`.
            CallRefused: The server has ended the conversation for good.
            EnvironmentProblem: No other call could be had.
            BudgetSpent: The conversation has cost enough.
        """
        line = self._in_call()
        if self.options.greeting:
            with suppress(NotConnected):  # lost while others opened; the next call goes on
                line.carry_out(line.conversation.say(self.options.greeting))
        timeline = Timeline(self.ctx.clock, began_at=self.ctx.now())
        measuring = asyncio.create_task(self._measure())
        try:
            forward = partial(self._forward, timeline=timeline, send=send)
            await self._keeper.converse(inlet, timeline, forward)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    async def _forward(self, line: ActiveCall, timeline: Timeline, send: Send) -> None:
        """Send on what has come and may be heard."""
        conversation = line.conversation
        async for frame in line.transport.incoming.received:
            line.carry_out(conversation.elapsed(audio.duration_ms(frame)))
            for heard in conversation.listen(frame):
                self._meter.arrived(line, heard)
                self._turns.given_out(heard)
                timeline.place(heard)
                await send(heard)

    async def _measure(self) -> None:
        """Tell from time to time how the media fare."""
        while True:
            await self.ctx.clock.sleep_until(self.ctx.now() + _MEASURE_S)
            line = self._keeper.line
            media = await line.transport.statistics() if line is not None else None
            self._gauge = "" if media is None else media.gauge
            if media is not None:
                self.ctx.publish(RealtimeMedia(**asdict(media)))

    def gauge(self) -> str:
        """Return how the media fare."""
        return self._gauge

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        self._meter.end()
        try:
            await self._keeper.close()
        finally:
            await self._toolbox.close()  # until its calls are gone the model may ask for more

    def reset(self) -> None:
        """Drop what has come from the model and was not sent on."""
        if self._keeper.line is not None:
            self._keeper.line.transport.incoming.reset()

    @action
    def update(self, **session: Any) -> None:
        """Change the session; keys of OpenAI's session object."""
        line = self._in_call()
        self._dialler.update(session)
        line.carry_out(line.conversation.update(session))

    def _in_call(self) -> ActiveCall:
        if self._keeper.line is None:
            raise NotConnected("there is no call")
        return self._keeper.line

    def _happened(self, line: ActiveCall, what: Happening) -> None:
        """Do what a line cannot do alone."""
        match what:
            case Hushed():
                line.transport.incoming.reset()
                if line is self._keeper.line:
                    self.ctx.flush_after()
            case ToolCall():
                self._toolbox.run(what, partial(self._answer, line, what.call_id))
            case UserSpeaks() | AnswerEnds():
                if line is self._keeper.line:
                    self._turns.take(what)
            case AnswerBegins():
                if line is self._keeper.line:
                    self._meter.answer_begins(what.response_id)
            case _:
                self._keeper.take(line, what)
                self.ctx.publish(what)

    def _answer(self, line: ActiveCall, call_id: str, output: str) -> None:
        """Give the model what it called for, if it is still there."""
        if line is self._keeper.line:
            with suppress(NotConnected):  # the next call is told what was said, and asks again
                line.carry_out(line.conversation.answer(call_id, output))

    def _interrupt(self, _event: Event) -> None:
        if (line := self._keeper.line) is not None:
            with suppress(NotConnected):  # whoever published the event must not suffer for it
                line.carry_out(line.conversation.interrupt())
