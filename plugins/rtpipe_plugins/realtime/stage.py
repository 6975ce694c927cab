"""The stage `realtime`: the visitor's audio goes in, the model's comes out."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe import (
    CANONICAL,
    AudioFormat,
    EnvironmentProblem,
    Event,
    Link,
    NotConnected,
    Peer,
    QueuePolicy,
    Send,
    StageContext,
    action,
    audio,
)
from rtpipe_plugins.realtime.account import Account, Mask, account_of
from rtpipe_plugins.realtime.dialect import Command, Conversation, Dialect, Ended, Output
from rtpipe_plugins.realtime.embedded import EmbeddedServer
from rtpipe_plugins.realtime.ending import Ending
from rtpipe_plugins.realtime.events import (
    SERVER_EVENTS,
    AssistantTranscript,
    RealtimeConnected,
    RealtimeDisconnected,
    UserTranscript,
)
from rtpipe_plugins.realtime.options import RealtimeOptions
from rtpipe_plugins.realtime.protocol import RealtimeProtocol
from rtpipe_plugins.realtime.signaling import RealtimeSignaling
from rtpipe_plugins.realtime_server.loopback import allow_loopback, is_loopback

if TYPE_CHECKING:
    from logging import Logger

    from rtpipe_plugins.realtime.call import Call

_CONFIRM_S = 5.0
_LOOK_S = 0.1
_DRAIN_S = 0.1
_SPEAKS = "output_audio_buffer.started"
_CONNECTING = "connecting the media"
_UDP_HELP = "WebRTC needs UDP: is it blocked by a firewall?"


class Realtime(Peer[RealtimeOptions]):
    """Holds a spoken conversation with a model over the OpenAI Realtime API (WebRTC).

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
        UserTranscript,
        AssistantTranscript,
        *SERVER_EVENTS,
    )

    def __init__(self, options: RealtimeOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._embedded = EmbeddedServer(ctx.log)
        self._dialect: Dialect | None = None
        self._call: Call | None = None
        self._call_id: str | None = None
        self._connected = False
        self._established = asyncio.Event()
        self._step = ""
        self._news_at = 0.0
        self._response_id: str | None = None

    @classmethod
    def has_clock(cls, options: RealtimeOptions) -> bool:  # noqa: ARG003 - a call always has one
        """A call moves at the speed of speech."""
        return True

    async def open(self) -> None:
        """Place the call and wait for the session.

        Raises:
            EnvironmentProblem: No key, or nobody there who can take the call.
            CallRefused: The server will not have it.
            StageError: The server's answer cannot be used.
        """
        if self.options.provider == "embedded":
            account = await self._embedded.start(self.options)
        else:
            account = account_of(self.options, os.environ)
        if is_loopback(account.hostname):
            allow_loopback()
        elif account.base_url.startswith("http:"):
            self.ctx.log.warning("the key travels to %s unencrypted", account.host)
        limit_s = self.options.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._connect(account)
        except TimeoutError:
            raise EnvironmentProblem(
                f"no call with {account.host} within {limit_s:g} s: {self._step}",
                help=_UDP_HELP if self._step == _CONNECTING else None,
            ) from None
        except NotConnected as lost:
            raise EnvironmentProblem(
                f"the call with {account.host} was lost while {self._step}: {lost}"
            ) from lost

    async def _connect(self, account: Account) -> None:
        from rtpipe_plugins.realtime.call import Call

        self._dialect = dialect = _realtime(self.options, account, self.ctx.log)
        self._call = call = Call(
            self.ctx.clock,
            dialect.channel_label,
            self.options.ice_servers,
            self._on_message,
            self.ctx.log,
        )
        self._step = "gathering our addresses"
        offer = await call.offer()
        self._step = "waiting for the answer to our offer"
        answer = await dialect.signaling.place(offer)
        self._call_id = answer.call_id
        self._step = _CONNECTING
        await call.accept(answer)
        await call.opened()
        self._step = "waiting for the session"
        await self._session(call, dialect.conversation)
        self._connected = True
        self.ctx.publish(
            RealtimeConnected(
                call_id=answer.call_id,
                provider=account.provider,
                model=self.options.model,
                host=account.host,
            )
        )

    async def _session(self, call: Call, conversation: Conversation) -> None:
        """Wait until the session is the one that was asked for; at last do without its word."""
        try:
            async with asyncio.timeout(min(_CONFIRM_S, self.options.connect_timeout_s / 2)):
                await call.wait(self._established)
        except TimeoutError:
            if conversation.announced:
                self.ctx.log.warning("the server does not confirm the session; going on without")
                self._carry_out(conversation.give_up_waiting())
            else:
                await call.wait(self._established)

    async def converse(self, inlet: Link, send: Send) -> None:
        """Send `inlet`, forward what comes back, and end when the last word has been played.

        Raises:
            NotConnected: The far end is gone.
            CallRefused: The server has ended the conversation for good.
        """
        dialect, call = self._in_call()
        call.incoming.begin()
        call.outgoing.attach(inlet)
        if self.options.greeting:
            self._carry_out(dialect.conversation.say(self.options.greeting))
        forwarding = asyncio.create_task(self._forward(call.incoming.received, send))
        either: list[asyncio.Future[Any]] = [forwarding, call.lost]
        ending = Ending()
        try:
            while not self._over(ending, call, dialect.conversation):
                await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if call.lost.done():
                    raise call.lost.result()
                if forwarding.done():
                    forwarding.result()
            call.incoming.received.close()
            await asyncio.wait({forwarding}, timeout=_DRAIN_S)
            if forwarding.done():
                forwarding.result()
        finally:
            forwarding.cancel()
            await asyncio.gather(forwarding, return_exceptions=True)

    async def _forward(self, received: Link, send: Send) -> None:
        """Send on what has come, each frame with the name of the response that is being spoken."""
        async for frame in received:
            if self._response_id is not None:
                audio.meta(frame).extra["response_id"] = self._response_id
            await send(frame)

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        call, self._call = self._call, None
        try:
            if call is not None:
                await self._hang_up(call)
        finally:
            await self._embedded.close()

    async def _hang_up(self, call: Call) -> None:
        lost = call.lost.result() if call.lost.done() else None
        dialect, call_id = self._dialect, self._call_id
        try:
            if dialect is not None and self._connected:
                self._connected = False
                self._carry_out(dialect.conversation.close())
                self.ctx.publish(RealtimeDisconnected(reason=str(lost or "we hung up")))
            if dialect is not None and call_id is not None and lost is None:
                await dialect.signaling.hang_up(call_id)
        finally:
            await call.close()

    def reset(self) -> None:
        """Drop what has come from the model and was not sent on."""
        if self._call is not None:
            self._call.incoming.reset()

    @action
    def say(self, text: str) -> None:
        """Have the model speak this text."""
        self._carry_out(self._in_call()[0].conversation.say(text))

    @action
    def text(self, text: str) -> None:
        """Put this text to the model as the visitor's words, and have it answered."""
        self._carry_out(self._in_call()[0].conversation.text(text))

    @action
    def respond(self, **response: Any) -> None:
        """Have the model take its turn; keys of OpenAI's response object override the session."""
        self._carry_out(self._in_call()[0].conversation.respond(response))

    @action
    def cancel(self) -> None:
        """Silence the model: stop the answer and throw away what was not yet played."""
        self._carry_out(self._in_call()[0].conversation.cancel())

    @action
    def clear(self) -> None:
        """Forget what the visitor has said in this turn: a push-to-talk key goes down."""
        self._carry_out(self._in_call()[0].conversation.clear())

    @action
    def commit(self) -> None:
        """End the visitor's turn: a push-to-talk key goes up; `respond` comes next."""
        self._carry_out(self._in_call()[0].conversation.commit())

    @action
    def update(self, **session: Any) -> None:
        """Change the session; keys of OpenAI's session object."""
        self._carry_out(self._in_call()[0].conversation.update(session))

    def _in_call(self) -> tuple[Dialect, Call]:
        if self._dialect is None or self._call is None or not self._connected:
            raise NotConnected("there is no call")
        return self._dialect, self._call

    def _on_message(self, message: str | bytes) -> None:
        assert self._dialect is not None
        self._news_at = self.ctx.now()
        self._carry_out(self._dialect.conversation.receive(message))
        if self._dialect.conversation.established:
            self._established.set()

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Event():
                    if output.type == _SPEAKS:  # its audio is behind this, in the jitter buffer
                        self._response_id = output.payload().get("response_id")
                    self.ctx.publish(output)
                case Command() if self._call is not None:
                    self._call.transmit(output.text())
                case Ended(problem) if self._call is not None:
                    self._call.lose(problem)

    def _over(self, ending: Ending, call: Call, conversation: Conversation) -> bool:
        if self.ctx.stopping:
            return True
        over = call.outgoing.inlet_ended and ending.reached(
            self.ctx.now(),
            idle=conversation.idle,
            transcribing=conversation.transcribing,
            hangover_s=conversation.hangover_s,
            sent_at=call.outgoing.audible_at,
            heard_at=call.incoming.audible_at,
            news_at=self._news_at,
        )
        if over and ending.gave_up:
            self.ctx.log.warning("gave up waiting for the last answer")
        return over


def _realtime(options: RealtimeOptions, account: Account, log: Logger) -> Dialect:
    """Return OpenAI's Realtime API (GA)."""
    session = options.session_object()
    mask = Mask([account.key.get_secret_value(), *options.secrets()])
    return Dialect(
        channel_label="oai-events",
        signaling=RealtimeSignaling(
            account,
            session,
            ephemeral=options.ephemeral or account.provider == "azure",
            timeout_s=options.connect_timeout_s,
            mask=mask,
            log=log,
        ),
        conversation=RealtimeProtocol(
            session, given=not account.has_ephemeral_key, mask=mask, log=log
        ),
    )
