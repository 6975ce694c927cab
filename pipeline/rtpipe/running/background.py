"""A run beside the program: what `async with pipeline` does before its block begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


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
