"""A thread for a stage's blocking calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OwnThread:
    """Makes blocking calls one after another, off the event loop.

    One thread rather than asyncio's pool, so that whatever closes waits its turn: libraries crash
    when they are closed in the middle of a call, and cancelling the waiter does not end the call.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor: ThreadPoolExecutor | None = None

    def start(self, call: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Make a call after those before it; returns its future result."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        return asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    async def end(self, last: Callable[[], None]) -> None:
        """Make one last call and end the thread; nothing, if no call was ever made."""
        if self._executor is None:
            return
        try:
            await self.start(last)
        finally:
            executor, self._executor = self._executor, None
            executor.shutdown(wait=False)
