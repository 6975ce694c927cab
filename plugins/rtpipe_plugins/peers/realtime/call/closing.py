"""Calls that nobody waits for: they are closed in the background, and all of them in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from logging import Logger, LoggerAdapter


class Closing:
    """Closes in the background.

    Args:
        log: Takes what failed.
    """

    def __init__(self, log: Logger | LoggerAdapter[Any]) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, close: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let `close` run; returns what is done when it is over."""
        closing = asyncio.create_task(close)
        self._tasks.add(closing)
        closing.add_done_callback(self._closed)
        return closing

    async def end(self) -> None:
        """Wait until all are over."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._tasks.discard(closing)
        if not closing.cancelled() and (error := closing.exception()) is not None:
            self._log.warning("could not let go of a call: %r", error)
