"""Work beside other work: a run beside the program, the opening until a stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def done_before(over: asyncio.Future[None], work: Coroutine[object, object, None]) -> bool:
    """Await `work`; return False when `over` came first, which cancels it."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait([working, over], return_when=asyncio.FIRST_COMPLETED)
    finally:
        finished = working.done()
        working.cancel()
        await asyncio.wait([working])
    if finished:
        working.result()
    return finished


async def begin(
    run: Coroutine[object, object, None], started: asyncio.Future[None], *, name: str
) -> asyncio.Task[None]:
    """Run in a task of its own; return it once `started` is done, or the run has ended.

    Cancelled meanwhile, it cancels the run and waits for it.

    Raises:
        Exception: What ended the run before it had started.
    """
    task = asyncio.create_task(run, name=name)
    try:
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
    if task.done():
        task.result()
    return task
