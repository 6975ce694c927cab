"""At-least-once delivery to a server that may be away: what `webhook` and `mqtt` share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from pydantic import ConfigDict, Field

from rtpipe import (
    Backoff,
    Event,
    Importance,
    Options,
    StageContext,
    StageError,
    Subscriber,
    reason_of,
)
from rtpipe.events import SubscriberOverflowed
from rtpipe_plugins.disk.json_text import json_text
from rtpipe_plugins.disk.output_path import ConfinedPath
from rtpipe_plugins.disk.records import Records
from rtpipe_plugins.subscribers.delivery.outbox import Message, Outbox

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

Send: TypeAlias = Callable[[Message], Awaitable[None]]

_GRACE_S = 2.0
_TELL_LOST_EVERY_S = 1.0
_ATTEMPTS = 3
"""How often one message may break a connection, or raise what nobody expected."""


class Retry(Options):
    """How to try again while the server is away."""

    initial_s: float = Field(default=1.0, gt=0)
    """Before the second attempt (s); each further one waits up to twice as long."""
    max_s: float = Field(default=60.0, gt=0)
    """The longest pause (s), unless the server itself asks for a longer one."""


class DeliveryOptions(Options):
    """What every delivery may be told."""

    # What is refused here may be a password: it must not stand in the error.
    model_config = ConfigDict(hide_input_in_errors=True)

    timeout_s: float = Field(default=10.0, gt=0)
    """How long one attempt may take (s)."""
    retry: Retry = Field(default=Retry())
    """The pauses between attempts. It never gives up while the server is away or busy; an event
    that the server will never take is set aside."""
    outbox: ConfinedPath | None = None
    """A file, of this stage alone, that keeps what is not delivered yet over a restart or a power
    cut. By default that is in memory: no file holds a visitor's words unless it is asked for.
    Events that the server will never take are set aside in `NAME.dead.jsonl`, a damaged outbox as
    `NAME.damaged`."""
    outbox_limit: int = Field(default=1000, ge=1)
    """How many events may wait; beyond that the oldest are lost, and `subscriber.overflowed` says
    how many."""


@dataclass(frozen=True, kw_only=True)
class Connected(Event):
    """The server takes events (again)."""

    importance = Importance.NOTICE
    host: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"connected to {self.host}"


@dataclass(frozen=True, kw_only=True)
class Disconnected(Event):
    """The server takes no events; they wait, and are tried again."""

    importance = Importance.WARNING
    host: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"cannot deliver to {self.host}, events wait: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The server will never take an event; it was set aside, and the next one is sent.

    Attributes:
        host: The server.
        event: The type of the event.
        reason: Why.
        kept: The dead-letter file that holds it; "" where there is none: it is lost.
    """

    importance = Importance.ERROR
    host: str
    event: str
    reason: str
    kept: str = ""

    @property
    def why(self) -> str:
        """The reason, for people."""
        return self.reason

    def line(self) -> str:
        """See `Event.line`."""
        where = f"kept in {self.kept}" if self.kept else "lost"
        return f"{self.host} refused `{self.event}`: {self.why} ({where})"


@dataclass(frozen=True, kw_only=True)
class OutboxDamaged(Event):
    """The outbox's file was damaged; it was put aside, and what comes goes into a new one.

    Attributes:
        path: The outbox.
        kept: What it is called now, with the events that waited in it.
        reason: What is wrong with it.
    """

    importance = Importance.ERROR
    type: str = "outbox.damaged"
    path: str
    kept: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.path} is damaged, what waited in it is not delivered but kept in {self.kept}"


class TryLater(Exception):  # noqa: N818 - control flow, not an error
    """The server cannot be reached, or takes nothing now.

    Args:
        reason: What happened, without secrets.
        after_s: How long the server wants to be left alone (s).
        suspect: Whether it may be the message's own fault.
    """

    def __init__(self, reason: str, after_s: float = 0.0, *, suspect: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s
        self.suspect = suspect


class Refused(Exception):  # noqa: N818 - as above
    """The server will never take this message.

    Args:
        reason: Why, without secrets.
        details: What the `Failed` event says otherwise, or beside that.
    """

    def __init__(self, reason: str, /, **details: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


D = TypeVar("D", bound=DeliveryOptions)


class Delivery(Subscriber[D]):
    """Puts every event into an outbox; a task sends from it, in order, one after the other."""

    connected: ClassVar[type[Connected]]
    disconnected: ClassVar[type[Disconnected]]
    failed: ClassVar[type[Failed]]

    def __init__(self, options: D, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._records = Records(ctx)
        self._outbox = Outbox(options.outbox, options.outbox_limit, self._tell_of_damage)
        self._delivering: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._reachable: bool | None = None
        self._failures = 0
        self._broken: str | None = None
        self._suspected = (0, 0)  # the number of a message, and how often it is suspected
        self._lost = 0
        self._lost_told = 0
        self._silent_until = 0.0

    @classmethod
    def claims(cls, options: D) -> str | None:
        """Return the outbox's file."""
        return f"file:{options.outbox}" if options.outbox is not None else None

    @property
    def host(self) -> str:
        """The server, for people."""
        raise NotImplementedError

    def connection(self) -> AbstractAsyncContextManager[Send]:
        """Return a connection to the server, which gives the function that sends one message.

        Both raise `TryLater` when the server is away, and call `reached` when it is not; that
        function raises `Refused` for a message that the server will never take.
        """
        raise NotImplementedError

    def broken(self, reason: str) -> None:
        """Note that the connection is gone, also while there is nothing to send."""
        self._broken = reason
        self._arrived.set()

    def reached(self) -> None:
        """Note that the server takes events."""
        if not self._reachable:
            self._reachable = True
            self.ctx.publish(self.connected(host=self.host))

    def suspects(self, message: Message) -> bool:
        """Return whether an earlier attempt at `message` failed in a way that may be its fault."""
        return self._suspected[0] == message.number

    async def open(self) -> None:
        """Open the outbox and begin to send what is in it; the server need not be there.

        Raises:
            EnvironmentProblem: The outbox's file cannot be used.
        """
        self._records.listen()
        await self._outbox.open()
        self._delivering = asyncio.create_task(self._deliver(), name=f"{self.ctx.id} delivery")

    async def on_event(self, event: Event) -> None:
        """Put `event` into the outbox.

        Raises:
            StageError: It could not be written.
        """
        if event.type == f"{self.kind}.failed":
            return  # to report a refusal to whom refused would go on for ever
        body = json_text({"time": _now(), **self._records.of(event).as_dict()})
        type = event.type.encode(errors="replace").decode()  # a server's text may be no UTF-8
        self._lost += await self._outbox.put(type, body)
        self._arrived.set()
        if self._lost > self._lost_told and self.ctx.now() >= self._silent_until:
            self._silent_until = self.ctx.now() + _TELL_LOST_EVERY_S
            self._lost_told = self._lost
            self.ctx.publish(SubscriberOverflowed(lost=self._lost))

    async def close(self) -> None:
        """Give what waits a moment to be delivered; the rest stays in the outbox's file."""
        task, self._delivering = self._delivering, None
        try:
            if task is not None:
                self._closing.set()
                self._arrived.set()
                await asyncio.wait([task], timeout=_GRACE_S)
                task.cancel()
                await asyncio.wait([task])
                self._tell_what_is_left(await self._outbox.count())
        finally:
            await self._outbox.close()

    def _tell_of_damage(self, reason: str, kept: Path) -> None:
        self.ctx.publish(
            OutboxDamaged(path=f"{self.options.outbox}", kept=f"{kept}", reason=reason)
        )

    def _tell_what_is_left(self, count: int) -> None:
        if count and self.options.outbox is not None:
            self.ctx.log.info("%d events wait in %s", count, self.options.outbox)
        elif count:
            self.ctx.log.warning("%d events were not delivered", count)

    async def _deliver(self) -> None:
        """Send until closed; while closing, until the outbox is empty or something fails."""
        while True:
            self._broken = None
            try:
                async with self.connection() as send:
                    while (message := await self._next()) is not None:
                        await self._hand_over(send, message)
                return  # noqa: TRY300 - it belongs to the loop above, not to the case of no error
            except TryLater as problem:
                reason, after_s = problem.reason, problem.after_s
            except StageError as problem:
                reason, after_s = problem.message, 0.0
            except Exception as error:
                # Whatever a library raises, delivery goes on. Its text may hold a secret.
                self.ctx.log.debug("delivery failed", exc_info=True)
                reason, after_s = reason_of(error, own_text=False), 0.0
            if self._reachable is not False:
                self._reachable = False
                self.ctx.publish(self.disconnected(host=self.host, reason=reason))
            if self._closing.is_set() or not await self._pause(after_s):
                return

    async def _hand_over(self, send: Send, message: Message) -> None:
        """Send a message and forget it, or set it aside where it can never be sent.

        Raises:
            TryLater: The server is away; so it is where an earlier attempt broke the connection.
            StageError: The outbox fails.
        """
        try:
            await send(message)
        except Refused as refusal:
            await self._set_aside(message, refusal.reason, **refusal.details)
        except TryLater as problem:
            if problem.suspect and self._is_to_blame(message):
                size = f"{len(message.body.encode())} bytes"
                failed = f"its {size} failed {_ATTEMPTS} times: {problem.reason}"
                await self._set_aside(message, failed)
            raise
        except Exception as error:
            if not self._is_to_blame(message):
                raise
            self.ctx.log.debug("delivery failed", exc_info=True)
            await self._set_aside(message, reason_of(error, own_text=False))
        else:
            await self._forget(message)

    def _is_to_blame(self, message: Message) -> bool:
        times = self._suspected[1] + 1 if self.suspects(message) else 1
        self._suspected = message.number, times
        return times >= _ATTEMPTS

    async def _set_aside(self, message: Message, reason: str, /, **details: Any) -> None:
        said = {"host": self.host, "event": message.type, "reason": reason, **details}
        try:
            said["kept"] = f"{await self._outbox.set_aside(message, reason) or ''}"
        except StageError as error:
            self.ctx.log.warning("%s", error.message)
        self.ctx.publish(self.failed(**said))
        await self._forget(message)

    async def _forget(self, message: Message) -> None:
        self._failures = 0
        await self._outbox.remove(message)

    async def _next(self) -> Message | None:
        """Return the next message when there is one; None when there is none and we are closing.

        Raises:
            TryLater: The connection is gone.
            StageError: The outbox fails.
        """
        while True:
            self._arrived.clear()
            if self._broken is not None:
                raise TryLater(self._broken)
            message = await self._outbox.first()
            if message is not None or self._closing.is_set():
                return message
            await self._arrived.wait()

    async def _pause(self, asked_for_s: float) -> bool:
        """Wait before the next attempt; returns whether there should be one.

        Closing ends the wait for a last attempt, but for a server that asked to be left alone.
        """
        retry = self.options.retry
        pause_s = Backoff(retry.initial_s, retry.max_s).pause_s(self._failures, asked_for_s)
        self._failures += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), pause_s)
        return not (self._closing.is_set() and asked_for_s)


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="milliseconds")
