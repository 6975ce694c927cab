"""An active call: one that stands, and the conversation held over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import StageError
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Ended
from rtpipe_plugins.peers.realtime.transports.transport import Placed, Transport, unless_lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger
    from typing import TypeAlias

    from rtpipe import Clock
    from rtpipe_plugins.peers.realtime.dialects.conversation import (
        Conversation,
        Happening,
        Output,
    )

    Receiver: TypeAlias = Callable[[str | bytes], None]

_CONFIRM_S = 5.0
_HANG_UP_S = 4.0
"""A server that does not answer must not keep the next call waiting."""


class ActiveCall:
    """One call from its placing to its end; a stage has one at a time, or two during a roll-over.

    Args:
        conversation: What is said; new, as the call is.
        transport: Makes the call's transport, given what takes the server's messages.
        on_event: Takes what happens in the conversation, in order, and where.
        clock: The pipeline's time.
        log: The stage's.
    """

    def __init__(
        self,
        conversation: Conversation,
        transport: Callable[[Receiver], Transport],
        *,
        on_event: Callable[[ActiveCall, Happening], None],
        clock: Clock,
        log: Logger,
    ) -> None:
        self.conversation = conversation
        self.transport = transport(self._receive)
        self.call_id: str | None = None
        self.news_at = clock.now()
        """When the last message came."""
        self._on_event = on_event
        self._clock = clock
        self._log = log
        self._established = asyncio.Event()
        self._held: list[str | bytes] | None = []
        self._placed: Placed | None = None
        self._placed_at = 0.0
        self._concluded = False

    @property
    def lost(self) -> asyncio.Future[BaseException]:
        """Why the call ended, when it has."""
        return self.transport.lost

    @property
    def step(self) -> str:
        """What `connect` is waiting for."""
        return "waiting for the session" if self._placed else self.transport.step

    @property
    def expires_at(self) -> float | None:
        """When the server will end the session (pipeline seconds), if it told.

        It tells by its own clock, of which the transport has brought a reading.
        """
        placed, ends_at = self._placed, self.conversation.expires_at
        if placed is None or placed.server_time_s is None or ends_at is None:
            return None
        return self._placed_at + ends_at - placed.server_time_s

    async def connect(self, limit_s: float) -> None:
        """Place the call and wait until the session is the one that was asked for.

        Args:
            limit_s: How long the caller will wait for all of it; a server that shows its session
                and does not confirm it is gone on with before.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
            NotConnected: The call ended before it stood.
            StageError: What the server answers cannot be used.
        """
        self._placed = await self.transport.connect()
        self._placed_at = self._clock.now()
        self.call_id = self._placed.call_id
        try:
            async with asyncio.timeout(min(_CONFIRM_S, limit_s / 2)):
                await unless_lost(self.lost, self._established)
        except TimeoutError:
            if not self.conversation.announced:
                await unless_lost(self.lost, self._established)
            else:
                self._log.warning("the server does not confirm the session; going on without")
                self.carry_out(self.conversation.give_up_waiting())

    def listen(self) -> None:
        """Take what has come since the session stood, and all that comes from now on.

        Until then it is held back: who places a call does not serve yet, and a server may have
        begun to answer.
        """
        held, self._held = self._held, None
        for message in held or ():
            self._receive(message)

    def carry_out(self, outputs: Iterable[Output]) -> None:
        """Do what the conversation says is to be done.

        Raises:
            NotConnected: The call is not up.
            StageError: A command is larger than the far end takes; those behind it are not sent.
        """
        left = list(outputs)
        try:
            while left:
                self._carry_out(left[0])
                del left[0]
        except StageError:
            self.conversation.unsent([output for output in left if isinstance(output, Command)])
            raise

    def conclude(self) -> None:
        """Account for what was going on; once, however often it is called."""
        if not self._concluded:
            self._concluded = True
            self.carry_out(self.conversation.close())

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        self.transport.outgoing.stop()
        try:
            async with asyncio.timeout(_HANG_UP_S):
                await self.transport.hang_up()
        except TimeoutError:
            self._log.info("the server does not say that it has taken our hanging up")
        finally:
            await self.transport.close()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Command():
                self.transport.transmit(output.text())
                self.conversation.sent(output)
            case Ended(problem):
                self.transport.lose(problem)
            case _:
                self._on_event(self, output)

    def _receive(self, message: str | bytes) -> None:
        self.news_at = self._clock.now()
        if self._established.is_set() and self._held is not None:
            self._held.append(message)
            return
        self.carry_out(self.conversation.receive(message))
        if self.conversation.established:
            self._established.set()
