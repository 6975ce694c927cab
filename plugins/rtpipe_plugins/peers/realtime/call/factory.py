"""The call factory: from the options to a call that stands."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, NotConnected
from rtpipe_plugins.peers.realtime.account import Account, Mask, account_of
from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
from rtpipe_plugins.peers.realtime.dialects.choice import dialect_for
from rtpipe_plugins.peers.realtime.embedded import EmbeddedServer
from rtpipe_plugins.peers.realtime.errors import NoRoute, wanted_pause_s, worth_retrying
from rtpipe_plugins.peers.realtime.options import Reconnect
from rtpipe_webrtc.loopback import Hosts, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from rtpipe import Clock
    from rtpipe_plugins.peers.realtime.call.active_call import Receiver
    from rtpipe_plugins.peers.realtime.dialects.conversation import Happening
    from rtpipe_plugins.peers.realtime.dialects.dialect import Dialect, Signaling
    from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_plugins.peers.realtime.transports.transport import Transport
    from rtpipe_plugins.peers.realtime.transports.websocket.connection import Opener

_ATTEMPT_S = 0.5
"""An attempt with less time would end without an answer, and hide what the server has said."""
_HELP = {
    "connecting the media": "WebRTC needs UDP: is it blocked by a firewall? "
    "`transport: websocket` needs none",
    "waiting for the answer to our offer": "is it the right address, and is the network up?",
}
"""By what the call was waiting for."""


class CallFactory:
    """Places calls with the server that the options name, one after the other.

    Args:
        options: The stage's.
        loudspeaker: Knows how much of an answer has been heard.
        on_event: Takes what happens in a call.
        clock: The pipeline's time.
        log: The stage's.
    """

    def __init__(
        self,
        options: RealtimeOptions,
        loudspeaker: LoudspeakerPosition,
        *,
        on_event: Callable[[ActiveCall, Happening], None],
        clock: Clock,
        log: Logger,
    ) -> None:
        self._options = options
        self._loudspeaker = loudspeaker
        self._on_event = on_event
        self._clock = clock
        self._log = log
        self._embedded = EmbeddedServer(log)
        self.account: Account
        """Whose server, with which key; known after `find`."""
        self.dialect: Dialect
        """What is spoken with it; known after `find`."""

    async def find(self) -> None:
        """Find out where calls go and on whose behalf; starts a server where it is our own.

        Raises:
            EnvironmentProblem: A key or an address is missing.
            CallRefused: They are there but cannot be right.
        """
        if self._options.provider == "embedded":
            account = await self._embedded.start(self._options)
        else:
            account = account_of(self._options, os.environ)
        if account.base_url.startswith("http:") and not is_loopback(account.hostname):
            self._log.warning("the key travels to %s unencrypted", account.host)
        self.account = account
        self.dialect = dialect_for(self._options, account, self._log)

    async def first(self, on_attempt: Callable[[int, float], None]) -> ActiveCall:
        """Return the first call; what may pass is tried again, within `connect_timeout_s` in all.

        Args:
            on_attempt: Called before each attempt: which it is, and how long it may take (s).

        Raises:
            CallRefused: The server will not have it.
            EnvironmentProblem: Nobody is there who can take the call.
            StageError: The server's answer cannot be used.
        """
        ends_at = self._clock.now() + self._options.connect_timeout_s
        backoff = (self._options.reconnect or Reconnect()).backoff
        failures = 0
        while True:
            limit_s = ends_at - self._clock.now()
            on_attempt(failures + 1, limit_s)
            try:
                return await self.place(limit_s)
            except EnvironmentProblem as problem:
                pause_s = backoff.pause_s(failures, wanted_pause_s(problem))
                left_s = ends_at - self._clock.now() - pause_s
                lasting = isinstance(problem, NoRoute) or not worth_retrying(problem)
                if lasting or left_s < _ATTEMPT_S:
                    raise
                self._log.info("%s; trying again", problem.message)
            failures += 1
            await asyncio.sleep(pause_s)

    async def place(self, limit_s: float) -> ActiveCall:
        """Return a call whose session is the one that was asked for, by one attempt.

        Raises:
            CallRefused: The server will not have it.
            EnvironmentProblem: Nobody is there who can take the call.
            StageError: The server's answer cannot be used.
        """
        host = self.account.host
        call = ActiveCall(
            self.dialect.conversation(),
            self._transport,
            on_event=self._on_event,
            clock=self._clock,
            log=self._log,
        )
        try:
            async with asyncio.timeout(limit_s):
                await call.connect(limit_s)
        except BaseException as error:
            await call.close()
            if isinstance(error, TimeoutError):
                whole_s = self._options.connect_timeout_s
                raise EnvironmentProblem(
                    f"no call with {host} within {whole_s:g} s: {call.step}",
                    help=_HELP.get(call.step),
                ) from None
            if isinstance(error, NotConnected):
                raise EnvironmentProblem(
                    f"the call with {host} was lost while {call.step}: {error}"
                ) from error
            raise
        return call

    def change(self, options: RealtimeOptions) -> None:
        """Place later calls by other options; the account stays."""
        self._options = options
        self.dialect.change(options)

    async def close(self) -> None:
        """Stop the server that `find` has started; may be called again."""
        await self._embedded.close()

    def _transport(self, on_message: Receiver) -> Transport:
        if self._options.transport != "webrtc":
            return self._websocket(on_message)
        from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection
        from rtpipe_plugins.peers.realtime.transports.webrtc.transport import WebRtcTransport

        connection = WebRtcConnection(
            self._clock,
            self.dialect.data_channel,
            self._options.ice_servers,
            on_message,
            self._log,
            jitter=self._options.jitter,
            opus=self._options.opus,
            dead_after_s=self._options.dead_after_s,
        )
        return WebRtcTransport(connection, self.dialect.signaling(), self._hosts())

    def _hosts(self) -> Hosts:
        if self.account.provider == "embedded":
            return Hosts.LOOPBACK
        return Hosts.ALL if is_loopback(self.account.hostname) else Hosts.NETWORK

    def _websocket(self, on_message: Receiver) -> Transport:
        from rtpipe_plugins.peers.realtime.transports.websocket.transport import WebSocketTransport

        signaling = self.dialect.signaling()
        return WebSocketTransport(
            self._opener(signaling),
            signaling,
            self.dialect.media_server(self._loudspeaker),
            on_message,
            clock=self._clock,
            log=self._log,
            dead_after_s=self._options.dead_after_s,
        )

    def _opener(self, signaling: Signaling) -> Opener:
        if self._options.transport == "memory":
            return self._embedded.opener()
        from rtpipe_plugins.peers.realtime.transports.websocket.handshake import Handshake

        mask = Mask([self.account.key.get_secret_value(), *self._options.secrets()])
        return Handshake(self.account, signaling, mask)
