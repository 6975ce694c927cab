"""The event bus (publish/subscribe): facts to routes, at once, and to subscribers in their time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from rtpipe.events import BusHandlerFailed, Event

_log = logging.getLogger("rtpipe.bus")

EventHandler: TypeAlias = Callable[[Event], None]


class Pattern:
    """Globs over event types (`response.*`); several of them match if one does.

    Args:
        globs: One, or several.
    """

    def __init__(self, globs: str | Iterable[str]) -> None:
        self.globs = (globs,) if isinstance(globs, str) else tuple(globs)
        self._known: dict[str, bool] = {}

    def matches(self, event_type: str) -> bool:
        """Return whether a glob matches `event_type`."""
        verdict = self._known.get(event_type)
        if verdict is None:
            verdict = any(fnmatchcase(event_type, glob) for glob in self.globs)
            if len(self._known) < 1024:  # a peer may invent types without end
                self._known[event_type] = verdict
        return verdict


class Bus:
    """Delivers events in the order they were published.

    Handlers run inside `publish`, so a barge-in flush or a closing gate takes effect before the
    next frame moves. An event published by a handler is delivered after the one being delivered,
    to everybody in the same order. Belongs to one event loop.

    Attributes:
        failures: How often handlers have raised.
    """

    def __init__(self) -> None:
        self._handlers: list[_Subscription] = []
        self._waiting: deque[Event] | None = None
        self._streams: list[Mailbox] = []
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.failures = 0

    def bind(self) -> None:
        """Belong to the running loop and its thread from now on."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def subscribe(self, match: str | Iterable[str], handler: EventHandler) -> Callable[[], None]:
        """Call `handler(event)` for every event whose type matches.

        A handler must be quick. One that raises harms nobody else: that is counted, and told
        (`bus.handler_failed`) the first time.

        Returns:
            A function that ends the subscription; calling it twice is harmless.
        """
        subscription = _Subscription(Pattern(match), handler)
        self._handlers.append(subscription)

        def unsubscribe() -> None:
            if subscription in self._handlers:
                self._handlers.remove(subscription)

        return unsubscribe

    def stream(self, match: str | Iterable[str] = "*") -> AsyncGenerator[Event, None]:
        """Return the events that match from now on, until `end_streams`.

        They wait in a `Mailbox` of their own: who reads slowly delays nobody.
        """
        mailbox = Mailbox()
        unsubscribe = self.subscribe(match, mailbox.deliver)
        self._streams.append(mailbox)
        if self._ended:
            mailbox.close()

        async def events() -> AsyncGenerator[Event, None]:
            try:
                while (event := await mailbox.next()) is not None:
                    yield event
            finally:
                unsubscribe()
                self._streams.remove(mailbox)

        return events()

    def end_streams(self) -> None:
        """End every `stream` after what waits in it, and those that are still to come."""
        self._ended = True
        for mailbox in self._streams:
            mailbox.close()

    def publish(self, event: Event) -> None:
        """Deliver `event`; never blocks. From another thread, in the next round of the loop."""
        if self._loop is not None and threading.get_ident() != self._thread:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self.publish, event)
            return
        if self._waiting is not None:  # by a handler
            self._waiting.append(event)
            return
        self._waiting = waiting = deque((event,))
        try:
            while waiting:
                current = waiting.popleft()
                for subscription in tuple(self._handlers):
                    if subscription.pattern.matches(current.type):
                        try:
                            subscription.handler(current)
                        except BaseException as error:  # noqa: BLE001 - whatever it is, it is not the publisher's
                            waiting += self._failed(subscription, current, error)
        finally:
            self._waiting = None

    def _failed(
        self, subscription: _Subscription, event: Event, error: BaseException
    ) -> tuple[Event, ...]:
        """Count that a handler failed; returns what tells of it, the first time."""
        self.failures += 1
        name, text = _name(subscription.handler), f"{type(error).__name__}: {error}"
        _log.debug("the handler %s failed on `%s`", name, event.type, exc_info=error)
        if subscription.failed:
            return ()
        subscription.failed = True
        return (
            BusHandlerFailed(
                source="pipeline", at=event.at, handler=name, heard=event.type, error=text
            ),
        )


@dataclass(slots=True, eq=False)
class _Subscription:
    pattern: Pattern
    handler: EventHandler
    failed: bool = False


def _name(handler: EventHandler) -> str:
    """Return what a handler is called and where it is written."""
    function = getattr(handler, "func", handler)  # of a `partial`
    code = getattr(function, "__code__", None)
    name = getattr(function, "__qualname__", type(handler).__name__)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


class Mailbox:
    """A subscriber's own bounded queue: when it is full the oldest event goes, and is counted.

    Args:
        limit: How many events may wait.

    Attributes:
        lost: How many events have gone.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._limit = limit
        self._closed = False
        self.lost = 0

    def deliver(self, event: Event) -> None:
        """Take `event`; never blocks."""
        if self._closed:
            return
        if self._queue.qsize() >= self._limit:
            self._queue.get_nowait()
            self.lost += 1
        self._queue.put_nowait(event)

    def close(self) -> None:
        """Take no more; the reader gets what is waiting and then None."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    def abandon(self) -> None:
        """Take no more, and drop what is waiting."""
        while not self._queue.empty():
            self.lost += self._queue.get_nowait() is not None
        self._closed = True
        self._queue.put_nowait(None)

    async def next(self) -> Event | None:
        """Return the next event, or None when the mailbox is closed and empty."""
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)
        return event
