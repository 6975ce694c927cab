"""A task of a stage's is cancelled, as the second Ctrl-C does, and has to end by that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtpipe.testing.promises import Broken

if TYPE_CHECKING:
    from collections.abc import Coroutine

_END_S = 2.0
_SWALLOWED = "it swallows CancelledError: let it pass, or raise it again after cleaning up"


async def ended_by_cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended; one that had ended already may have.

    Raises:
        Broken: It goes on, or ends as if nothing had been.
        Exception: Whatever else it raised.
    """
    if task.done():
        task.result()
        return
    task.cancel()
    await asyncio.wait({task}, timeout=_END_S)
    if not task.done():
        await abandon(task)
        raise Broken(_SWALLOWED)
    if task.cancelled():
        return
    task.result()
    raise Broken(_SWALLOWED)


async def abandon(task: asyncio.Task[Any]) -> None:
    """Get rid of a task that will not be cancelled, as far as that can be done."""
    coroutine: Coroutine[Any, Any, Any] | None = task.get_coro()  # type: ignore[assignment]
    for _ in range(3):
        if coroutine is not None:
            with suppress(RuntimeError):  # it ignores GeneratorExit, too
                coroutine.close()
        task.cancel()
        await asyncio.sleep(0)
    if not task.done():
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
