"""The feed: events, levels and states for those who watch, each behind a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from rtpipe import Pattern
from rtpipe_control.view.levels import Levels
from rtpipe_control.view.shown_event import ShownEvent, as_json, dumped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import Event, Pipeline
    from rtpipe_control.view.snapshot import View

MOST_READERS = 200
_MOST_WAITING = 500
_MOST_BYTES = 1024 * 1024
"""Of events that wait for one reader."""
_PIECE_BYTES = 64 * 1024
_AT_ONCE = 50
_STATE_S = 0.45
"""Levels are looked at 4 or 10 times a second, and states with the first look after so long."""
_LINGERS_S = 30.0
"""Levels are measured so long after the last who looked, who may be back at once."""


class Reader:
    """One who watches: what waits for him, as pieces of a server-sent event stream.

    Events wait in order; when too many do, the oldest go and are counted. Of levels and states
    only the newest waits. Who wants levels is told of events with the next ones: a page wakes and
    draws once for both.

    Args:
        match: Globs over the types of the events wanted.
        levels: How many times a second levels are wanted: 10, 4 or 0. At most 4 where nobody wants
            more.
        state: Whether states are wanted, twice a second.
    """

    def __init__(self, match: Iterable[str], *, levels: int, state: bool) -> None:
        self.pattern = Pattern(match)
        self.levels = levels
        self.state = state
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._newest: dict[str, bytes] = {}
        self._missed = 0
        self._over = False
        self._news = asyncio.Event()

    def take(self, piece: bytes) -> int:
        """Let an event wait; returns how many went for it."""
        self._events.append(piece)
        self._bytes += len(piece)
        gone = 0
        while len(self._events) > _MOST_WAITING or (
            self._bytes > _MOST_BYTES and len(self._events) > 1
        ):
            self._bytes -= len(self._events.popleft())
            gone += 1
        self._missed += gone
        if not self.levels:
            self._news.set()
        return gone

    def show(self, name: str, piece: bytes) -> None:
        """Let something wait in the place of what waits under the same name."""
        self._newest[name] = piece
        self._news.set()

    def forget(self) -> None:
        """Let go of what waits: a snapshot has it."""
        self._events.clear()
        self._bytes = 0

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._news.set()

    async def next(self) -> bytes | None:
        """Return what waits, as soon as anything does, a piece at a time; None at the end."""
        while not (self._events or self._newest or self._missed):
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        pieces = [piece("missed", dumped({"events": self._missed}))] if self._missed else []
        self._missed, size = 0, 0
        while self._events and size < _PIECE_BYTES:
            pieces.append(self._events.popleft())
            size += len(pieces[-1])
        self._bytes -= size
        if not self._events:
            pieces += self._newest.values()
            self._newest.clear()
        return b"".join(pieces)


class Feed:
    """Tells readers what happens in a pipeline.

    Args:
        pipeline: Which.
        view: What is shown of it.
    """

    def __init__(self, pipeline: Pipeline, view: View) -> None:
        self._pipeline = pipeline
        self._view = view
        self._levels = Levels(pipeline)
        self._readers: set[Reader] = set()
        self._numbers = 0
        self.missed = 0
        """How many events went because their reader was too slow."""
        self._ticking: asyncio.Task[None] | None = None
        self._unsubscribe = pipeline.bus.subscribe("*", self._hear)

    async def prepare(self) -> None:
        """Make the JSON of what has happened, a few events at a time: beside the audio."""
        mask = self._pipeline.spec.masked
        for number, each in enumerate(self._view.recent.shown()):
            if isinstance(each, ShownEvent):
                each.as_json(mask)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)

    def snapshot(self) -> bytes:
        """Return the snapshot as JSON, with the levels of the last 20 s.

        `number` counts the events so far: those that follow bear the next ones as their ids.
        """
        shown = self._view.snapshot()
        shown["number"] = self._numbers
        recent = shown.pop("recent")
        lists = [f'"{name}":'.encode() + self._events(events) for name, events in recent.items()]
        lists.append(b'"levels":' + dumped(self._levels.history()))
        return self.json(shown)[:-1] + b',"recent":{' + b",".join(lists) + b"}}"

    def json(self, value: Any) -> bytes:
        """Return `value` as JSON without secrets."""
        return as_json(value, self._pipeline.spec.masked)

    def _events(self, events: list[dict[str, Any]]) -> bytes:
        mask = self._pipeline.spec.masked
        made = (
            each.as_json(mask) if isinstance(each, ShownEvent) else self.json(each)
            for each in events
        )
        return b"[" + b",".join(made) + b"]"

    @property
    def readers(self) -> int:
        """How many are told."""
        return len(self._readers)

    def join(self, reader: Reader) -> bool:
        """Let `reader` know from now on; False when there are too many."""
        if len(self._readers) >= MOST_READERS:
            return False
        self._readers.add(reader)
        if reader.levels or reader.state:
            self._tick()
        return True

    def leave(self, reader: Reader) -> None:
        """Let `reader` know no more."""
        self._readers.discard(reader)

    async def close(self) -> None:
        """End all readers' streams."""
        self._unsubscribe()
        for reader in self._readers:
            reader.show("end", piece("end", dumped({"state": self._view.state})))
            reader.end()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    def _hear(self, event: Event) -> None:
        told = self._view.take(event)
        self._numbers += 1
        wanting = [reader for reader in self._readers if reader.pattern.matches(event.type)]
        if wanting:
            made = piece("event", told.as_json(self._pipeline.spec.masked), self._numbers)
            self.missed += sum(reader.take(made) for reader in wanting)
        if self._view.condition_changed and any(reader.state for reader in self._readers):
            self._show("condition", self._view.condition())

    def _tick(self) -> None:
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._look(), name="control levels")

    async def _look(self) -> None:
        """Tell levels and states until nobody has wanted any for a while."""
        self._levels.start()
        loop = asyncio.get_running_loop()
        wanted_at = state_at = loop.time()
        try:
            while loop.time() - wanted_at < _LINGERS_S:
                await asyncio.sleep(0.1 if any(each.levels > 4 for each in self._readers) else 0.25)
                levels = self._levels.read()
                if any(reader.levels or reader.state for reader in self._readers):
                    wanted_at = loop.time()
                    self._show_levels(levels)
                    if wanted_at - state_at >= _STATE_S:
                        state_at = wanted_at
                        self._show("state", self._view.changing())
        finally:
            self._levels.stop()

    def _show_levels(self, levels: dict[str, tuple[float, float]]) -> None:
        self._show("levels", {"at": round(self._pipeline.clock.now(), 2), "levels": levels})

    def _show(self, name: str, value: Any) -> None:
        """Let those know who look at levels, or at the state."""
        of_levels = name == "levels"
        wanting = [each for each in self._readers if (each.levels if of_levels else each.state)]
        if wanting:
            made = piece(name, self.json(value))
            for reader in wanting:
                reader.show(name, made)


def piece(name: str, data: bytes, number: int | None = None) -> bytes:
    """Return one server-sent event (WHATWG HTML, 9.2): a name, a line of data, perhaps an id."""
    id = b"" if number is None else b"id: %d\n" % number
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), id, data)
