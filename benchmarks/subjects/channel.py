"""The cheapest edge that Python allows: one task gives, one takes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Channel:
    """A bounded queue between two tasks; nobody is woken who does not wait."""

    __slots__ = ("_items", "_loop", "_most", "_room", "_something")

    def __init__(self, most: int = 8) -> None:
        self._items: deque[Any] = deque()
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._something: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    async def put(self, item: Any) -> None:
        """Add an item, waiting for room."""
        while len(self._items) >= self._most:
            self._room = self._loop.create_future()
            await self._room
        self._items.append(item)
        waits, self._something = self._something, None
        if waits is not None and not waits.done():
            waits.set_result(None)

    async def get(self) -> Any:
        """Return the oldest item, waiting for it."""
        while not self._items:
            self._something = self._loop.create_future()
            await self._something
        item = self._items.popleft()
        waits, self._room = self._room, None
        if waits is not None and not waits.done():
            waits.set_result(None)
        return item
