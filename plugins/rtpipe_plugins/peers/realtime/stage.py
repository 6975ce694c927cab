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
    Peer,
    QueuePolicy,
    Send,
    Specimen,
    StageContext,
    Timeline,
    action,
    audio,
)
from rtpipe_plugins.peers.realtime.account import Mask
from rtpipe_plugins.peers.realtime.answer_heard import AnswerHeard
from rtpipe_plugins.peers.realtime.call.factory import CallFactory
from rtpipe_plugins.peers.realtime.call.manager import CallManager
from rtpipe_plugins.peers.realtime.dialects.choice import heard_of, server_events, session_change
from rtpipe_plugins.peers.realtime.dialects.conversation import (
    AnswerBegins,
    AnswerEnds,
    Happening,
    Interrupted,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.events import OWN_EVENTS, RealtimeMedia, RealtimeNoiseLimited
from rtpipe_plugins.peers.realtime.latency.meter import LatencyMeter
from rtpipe_plugins.peers.realtime.latency.turns import TurnMeasured
from rtpipe_plugins.peers.realtime.loudspeaker_position import PLAYBACK_EVENTS, LoudspeakerPosition
from rtpipe_plugins.peers.realtime.noise_guard import NoiseGuard
from rtpipe_plugins.peers.realtime.options import CHANGEABLE, RealtimeOptions
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall
from rtpipe_plugins.peers.realtime.tools.pictures import data_url
from rtpipe_plugins.peers.realtime.tools.toolbox import Toolbox
from rtpipe_plugins.peers.realtime.transcript_deltas import TranscriptDeltas
from rtpipe_plugins.peers.realtime.turn_taking import TurnTaking
from rtpipe_plugins.peers.realtime.words_heard import WordsHeard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from rtpipe import AudioFrame, Finding
    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall

_MEASURE_S = 5.0


class Realtime(Peer[RealtimeOptions]):
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
    external = True
    accepts: ClassVar[AudioFormat | None] = CANONICAL
    exact_ms = 20.0
    # A stall of the machine must not cost the visitor a syllable; trimming takes the lag back.
    inlet_policy: ClassVar[QueuePolicy | None] = QueuePolicy(max_ms=200)
    live = CHANGEABLE
    publishes: ClassVar[Any] = (*OWN_EVENTS, TurnMeasured, *server_events())

    def __init__(self, options: RealtimeOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._gauge = ""
        self._end_listening: Callable[[], None] | None = None
        self._noise = NoiseGuard()
        self._loudspeaker = LoudspeakerPosition()
        self._factory = CallFactory(
            options, self._loudspeaker, on_event=self._happened, clock=ctx.clock, log=ctx.log
        )
        self._meter = LatencyMeter(ctx)
        words = WordsHeard()
        self._heard = AnswerHeard(ctx, self._loudspeaker, words)
        self._deltas = TranscriptDeltas(ctx.publish, words)
        self._turns = TurnTaking(ctx, self._heard, self._fell_silent)
        self._manager = CallManager(options, ctx, self._factory, self._meter.metered, self._turns)
        self._toolbox = Toolbox(options.tools, ctx, Mask(options.secrets()))

    @classmethod
    def has_clock(cls, options: RealtimeOptions) -> bool:  # noqa: ARG003 - a call always has one
        """A call moves at the speed of speech."""
        return True

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a call in memory, in which a script is followed."""
        script = folder / "script.yaml"
        script.write_text("turns: [{transcribe: Where is the café?, say: On the left.}]", "utf-8")
        yield Specimen({"provider": "embedded", "transport": "memory", "script": script})

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

    @classmethod
    def change_heard(cls, options: RealtimeOptions, to: RealtimeOptions) -> str | None:
        """Return whether the call that stands is told, or another takes over."""
        return None if super().change_heard(options, to) is None else heard_of(options, to)

    def change(self, options: RealtimeOptions) -> None:
        """Tell the session that stands; where that cannot be, another call takes over at a pause.

        Raises:
            PluginError: A function of `tools` cannot be imported, or its signature not be used.
        """
        change = session_change(self.options, options)
        self._toolbox.add(options.tools, Mask(options.secrets()))
        self._manager.change(options, change)
        self.options = options
        self._listen()

    def _listen(self) -> None:
        if self._end_listening is not None:
            self._end_listening()
        on = self.options.interrupt_on
        self._end_listening = self.ctx.on(on, self._interrupt) if on else None

    async def open(self) -> None:
        """Place the call and wait for the session.

        Raises:
            EnvironmentProblem: No key, or nobody there who can take the call.
            CallRefused: The server will not have it.
            StageError: The server's answer cannot be used.
            PluginError: A function of `tools` cannot be imported, or its signature not be used.
        """
        self._toolbox.load()
        self.ctx.on(PLAYBACK_EVENTS, self._loudspeaker.take)
        self.ctx.on("playback.stopped", self._heard.playback_stopped)
        self._meter.begin(self._hangover_s)
        self._listen()
        await self._manager.open()

    async def converse(self, inlet: Link, send: Send) -> None:
        """Send `inlet`, forward what comes back, and end when the last word has been played.

        Raises:
            NotConnected: The far end is gone, with `reconnect: false`.
            CallRefused: The server has ended the conversation for good.
            EnvironmentProblem: No other call could be had.
            BudgetSpent: The conversation has cost enough.
            AnswerGivenUp: The last answer has not come.
        """
        if self.options.greeting:
            with suppress(NotConnected):  # lost while others opened; the next call goes on
                self.say(self.options.greeting)
        timeline = Timeline(self.ctx.clock, began_at=self.ctx.now())
        measuring = asyncio.create_task(self._measure())
        try:
            forward = partial(self._forward, timeline=timeline, send=send)
            await self._manager.converse(inlet, timeline, forward)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    async def _forward(self, call: ActiveCall, timeline: Timeline, send: Send) -> None:
        """Send on what has come and may be heard."""
        conversation, incoming = call.conversation, call.transport.incoming
        async for frame in incoming.received:
            call.carry_out(conversation.elapsed(audio.duration_ms(frame)))
            for passed in conversation.listen(frame):
                heard = self._guard(passed)
                self._turns.given_out(heard)
                self._meter.arrived(heard, incoming.kept_s)
                timeline.place(heard)
                await send(heard)

    def _guard(self, frame: AudioFrame) -> AudioFrame:
        told = self._noise.limited_ms > 0
        heard = self._noise.take(frame)
        if self._noise.limited_ms and not told:
            self.ctx.publish(RealtimeNoiseLimited())
        return heard

    async def _measure(self) -> None:
        """Tell from time to time how the media fare."""
        while True:
            await self.ctx.clock.sleep_until(self.ctx.now() + _MEASURE_S)
            call = self._manager.call
            media = await call.transport.statistics() if call is not None else None
            self._gauge = "" if media is None else media.gauge
            if media is not None:
                self.ctx.publish(RealtimeMedia(**asdict(media)))

    def gauge(self) -> str:
        """Return how the media fare."""
        return self._gauge

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        if action == "flush":
            return ""
        if action == "answer_call":
            return "" if self._toolbox.awaits_program else "no call of a function waits"
        call = self._manager.call
        if call is None:
            return "no call stands"
        conversation = call.conversation
        match action:
            case "cancel" if not (self._turns.answering or conversation.answering):
                return "the model is not speaking"
            case "release" if not conversation.pressed:
                return "nothing was pressed"
            case "approve" | "deny" if not conversation.awaits_decision:
                return "nothing waits for approval"
        return ""

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        self._meter.end()
        if self._noise.limited_ms:
            self.ctx.log.warning(
                "%.0f ms of what came from the server were turned down as noise",
                self._noise.limited_ms,
            )
            self._noise = NoiseGuard()
        try:
            await self._manager.close()
        finally:
            await self._toolbox.close()  # until its calls are gone the model may ask for more
            self._deltas.close()

    def reset(self) -> None:
        """Drop what has come from the model and was not sent on."""
        if self._manager.call is not None:
            self._manager.call.transport.incoming.reset()

    # -- actions -----------------------------------------------------------------------------------

    @action
    def say(self, text: str) -> None:
        """Have the model speak this text."""
        self._manager.carry_out(lambda conversation: conversation.say(text))

    @action
    def text(self, text: str) -> None:
        """Put this text to the model as the visitor's words, and have it answered."""
        self._manager.carry_out(lambda conversation: conversation.text(text))

    @action
    def image(self, source: str, text: str = "") -> None:
        """Show the model a picture: a PNG or JPEG file of at most 190 kB, or a data URL.

        With a `text` that is put to the model too, and answered; without, it is there to be asked
        about.
        """
        url = data_url(source)
        self._manager.carry_out(lambda conversation: conversation.image(url, text))

    @action
    def create_item(self, type: str, previous_item_id: str = "", **item: Any) -> None:
        """Put any item into the conversation; keys of OpenAI's conversation item.

        It stands behind `previous_item_id`, or at the end. Nothing is answered: `respond` asks.
        """
        made = {"type": type, **item}
        self._manager.carry_out(
            lambda conversation: conversation.create_item(made, previous_item_id)
        )

    @action
    def answer_call(self, output: Any, call_id: str = "", name: str = "") -> None:
        """Answer a function that the model has called and that is declared as `type: function`.

        `output` is what the model is told: a text, or anything that becomes JSON. The oldest call
        that waits is answered; `name` says of which function, `call_id` which call.
        """
        self._toolbox.answer(output, call_id=call_id, name=name)

    @action
    def approve(self, name: str = "", approval_request_id: str = "", reason: str = "") -> None:
        """Let a tool of an MCP server run: the oldest that waits for approval, or that `name`."""
        self._manager.carry_out(
            lambda conversation: conversation.decide(
                approve=True, name=name, request_id=approval_request_id, reason=reason
            )
        )

    @action
    def deny(self, name: str = "", approval_request_id: str = "", reason: str = "") -> None:
        """Do not let a tool of an MCP server run; the model is told the `reason`."""
        self._manager.carry_out(
            lambda conversation: conversation.decide(
                approve=False, name=name, request_id=approval_request_id, reason=reason
            )
        )

    @action
    def update(self, **session: Any) -> None:
        """Change the session; keys of OpenAI's session object."""
        self._manager.update(session)

    @action
    def respond(self, **response: Any) -> None:
        """Have the model take its turn; keys of OpenAI's response object override the session."""
        self._manager.carry_out(lambda conversation: conversation.respond(response))

    @action
    def cancel(self) -> None:
        """Silence the model at once, here and at the server, and drop what it was still to say."""
        self._manager.carry_out(lambda conversation: conversation.cancel())

    @action
    def press(self) -> None:
        """Begin the visitor's turn: a push-to-talk key goes down. The model falls silent."""
        self._manager.carry_out(lambda conversation: conversation.press())

    @action
    def release(self) -> None:
        """End the turn that `press` began and have it answered, unless it was shorter than 100 ms.

        Without `press` before it, it does nothing.
        """
        self._manager.carry_out(lambda conversation: conversation.release())

    @action
    def clear(self) -> None:
        """Forget what the visitor has said in this turn."""
        self._manager.carry_out(lambda conversation: conversation.clear())

    @action
    def commit(self) -> None:
        """End the visitor's turn, and leave the answering to `respond`."""
        self._manager.carry_out(lambda conversation: conversation.commit())

    # -- what happens in a call --------------------------------------------------------------------

    def _happened(self, call: ActiveCall, what: Happening) -> None:
        """Do what a call cannot do alone."""
        match what:
            case Interrupted():
                call.transport.incoming.reset()
                if call is self._manager.call:
                    self.ctx.flush_after()
            case ToolCall():
                self._toolbox.run(what, partial(self._answer, call, what.call_id))
            case UserSpeaks() | AnswerEnds():
                self._manager.tell(call)
                if call is self._manager.call:
                    self._turns.take(what)
            case AnswerBegins():
                if call is self._manager.call:
                    self._meter.answer_begins(what.response_id)
            case _:
                self._manager.take(call, what)
                self._deltas.publish(what)

    def _answer(self, call: ActiveCall, call_id: str, output: str) -> None:
        """Give the model what it called for, if it is still there."""
        if call is self._manager.call:
            with suppress(NotConnected):  # the next call is told what was said, and asks again
                call.carry_out(call.conversation.answer(call_id, output))

    def _fell_silent(self, response_id: str) -> None:
        with suppress(NotConnected):  # the call is over, and with it what was said in it
            self._manager.carry_out(lambda conversation: conversation.fell_silent(response_id))

    def _interrupt(self, _event: Event) -> None:
        with suppress(NotConnected):  # whoever published the event must not suffer for it
            self._manager.carry_out(lambda conversation: conversation.interrupt())

    def _hangover_s(self) -> float | None:
        call = self._manager.call
        return None if call is None else call.conversation.hangover_s
