"""A line: one call that stands, and the conversation held over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import Event, StageError
from rtpipe_plugins.peers.realtime.dialects.dialect import (
    AnswerBegins,
    AnswerEnds,
    Command,
    Ended,
    Hushed,
    Output,
    ToolCall,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, text_of
from rtpipe_plugins.peers.realtime.transports.transport import Placed, Transport, unless_lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from logging import Logger
    from typing import TypeAlias

    from rtpipe import Clock
    from rtpipe_plugins.peers.realtime.dialects.dialect import Conversation, Happening

    Receiver: TypeAlias = Callable[[str | bytes], None]

_CONFIRM_S = 5.0
_SESSION = {"session.created", "session.updated"}
_REPEATS = {
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
    "transcript.user",
}


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
        self._placed: Placed | None = None
        self._placed_at = 0.0
        self._session_ends = 0.0
        self._replayed: set[str] = set()
        self._unrepeated: dict[str, Mapping[str, Any]] = {}
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
        placed = self._placed
        if placed is None or placed.server_time_s is None or self._session_ends <= 0:
            return None
        return self._placed_at + self._session_ends - placed.server_time_s

    @property
    def unrepeated(self) -> list[Mapping[str, Any]]:
        """Items of ours that the server may never have had: it has not repeated them yet."""
        return list(self._unrepeated.values())

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

    def carry_out(self, outputs: Iterable[Output]) -> None:
        """Do what the conversation says is to be done.

        Raises:
            StageError: A command is larger than the far end takes; those behind it are not sent.
        """
        rest = iter(outputs)
        try:
            for output in rest:
                self._carry_out(output)
        except StageError:
            self.conversation.unsent([left for left in rest if isinstance(left, Command)])
            raise

    def replay(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Tell the server what was said before; that it repeats it is nobody's news."""
        self._replayed.update(item["id"] for item in items)
        for number, item in enumerate(items, 1):
            create = {"type": "conversation.item.create", "event_id": f"replay_{number}"}
            self.transport.transmit(Command({**create, "item": item}).text())

    def create(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Put items into the conversation that no server has had for certain."""
        for item in items:
            self.carry_out([Command({"type": "conversation.item.create", "item": item})])

    def conclude(self) -> None:
        """Account for what was going on; once, however often it is called."""
        if not self._concluded:
            self._concluded = True
            self.carry_out(self.conversation.close())

    async def close(self) -> None:
        """Hang up and let go of everything; may be called again."""
        self.transport.outgoing.stop()
        try:
            await self.transport.hang_up()
        finally:
            await self.transport.close()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Event():
                self._tell(output)
            case Hushed() | ToolCall() | UserSpeaks() | AnswerBegins() | AnswerEnds():
                self._on_event(self, output)
            case Command():
                self.transport.transmit(output.text())
                self._note(output.data)
            case Ended(problem):
                self.transport.lose(problem)

    def _note(self, command: Mapping[str, Any]) -> None:
        item = object_of(command, "item")
        if "id" in item:
            self._unrepeated[item["id"]] = item

    def _tell(self, event: Event) -> None:
        if event.type in _SESSION:
            ends = object_of(event.payload(), "session").get("expires_at")
            if isinstance(ends, int | float):
                self._session_ends = ends
        if event.type in _REPEATS:
            id = _item_id(event)
            self._unrepeated.pop(id, None)
            if id in self._replayed:
                return
        self._on_event(self, event)

    def _receive(self, message: str | bytes) -> None:
        self.news_at = self._clock.now()
        self.carry_out(self.conversation.receive(message))
        if self.conversation.established:
            self._established.set()


def _item_id(event: Event) -> str:
    """Return which item `event` is about."""
    told = event.payload()
    return text_of(told, "item_id") or text_of(object_of(told, "item"), "id")
