"""The event bus (publish/subscribe): facts to routes, at once, and to subscribers in their time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

from rtpipe.events import Event

EventHandler: TypeAlias = Callable[[Event], None]


class Pattern:
    """Globs over event types (`response.*`); several of them match if one does."""

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
    """

    def __init__(self) -> None:
        self._handlers: list[tuple[Pattern, EventHandler]] = []
        self._waiting: deque[Event] = deque()
        self._delivering = False
        self._streams: set[Mailbox] = set()
        self._ended = False

    def subscribe(self, match: str | Iterable[str], handler: EventHandler) -> Callable[[], None]:
        """Call `handler(event)` for every event whose type matches.

        A handler must be quick and must not raise: what may fail is wrapped by whoever
        subscribes it.

        Returns:
            A function that ends the subscription; calling it twice is harmless.
        """
        entry = (Pattern(match), handler)
        self._handlers.append(entry)

        def unsubscribe() -> None:
            if entry in self._handlers:
                self._handlers.remove(entry)

        return unsubscribe

    def stream(self, match: str | Iterable[str] = "*") -> AsyncGenerator[Event, None]:
        """Return the events that match from now on, until `end_streams`.

        They wait in a `Mailbox` of their own: who reads slowly delays nobody.
        """
        mailbox = Mailbox()
        unsubscribe = self.subscribe(match, mailbox.deliver)
        self._streams.add(mailbox)
        if self._ended:
            mailbox.close()

        async def events() -> AsyncGenerator[Event, None]:
            try:
                while (event := await mailbox.next()) is not None:
                    yield event
            finally:
                unsubscribe()
                self._streams.discard(mailbox)

        return events()

    def end_streams(self) -> None:
        """End every `stream` after what waits in it, and those that are still to come."""
        self._ended = True
        for mailbox in self._streams:
            mailbox.close()

    def publish(self, event: Event) -> None:
        """Deliver `event`; never blocks."""
        self._waiting.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                current = self._waiting.popleft()
                for pattern, handler in tuple(self._handlers):
                    if pattern.matches(current.type):
                        handler(current)
        finally:
            self._delivering = False


class Mailbox:
    """A subscriber's own bounded queue: when it is full the oldest event goes, and is counted."""

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

    async def next(self) -> Event | None:
        """Return the next event, or None when the mailbox is closed and empty."""
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)
        return event
