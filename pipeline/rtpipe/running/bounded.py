"""Bounded waits: code that ignores its cancellation, or a thread that is stuck, holds up no end."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rtpipe.running.faults import asked_to_end, contained, place_of_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable

T = TypeVar("T")

CANCEL_S = 0.5
"""How long what is late may take over being cancelled."""
_EXECUTOR_S = 2.0
_log = logging.getLogger("rtpipe")


async def within(timeout_s: float, work: Awaitable[T]) -> T:
    """Return what `work` returns; it gets a task of its own.

    Raises:
        TimeoutError: It took longer; it is cancelled then, and left alone if that does not help.
        Exception: What it raised, as `contained` has it.
    """
    task = asyncio.ensure_future(_contained(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        await cancel([task])
        raise
    if not done:
        place = place_of_task(task)
        await cancel([task])
        raise TimeoutError(place)
    return task.result()


async def cancel(
    tasks: Iterable[asyncio.Future[Any]], timeout_s: float = CANCEL_S
) -> set[asyncio.Future[Any]]:
    """Cancel `tasks` and wait for them, `timeout_s` at the most; returns those that go on."""
    tasks = set(tasks)
    for task in tasks:
        task.cancel()
    if not tasks:
        return set()
    ended, stuck = await asyncio.wait(tasks, timeout=timeout_s)
    for task in ended:
        if not task.cancelled():
            task.exception()  # whoever wants it asks again; nobody is warned that it was not seen
    return stuck


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a loop of its own, as `asyncio.run` does, but with an end that is bounded.

    Tasks that are left over are told, cancelled and, if they ignore that, left alone; so are
    threads of the default executor.

    Raises:
        KeyboardInterrupt: Ctrl-C cancelled it.
        BaseException: What it raised.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(main)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    if threading.current_thread() is threading.main_thread():
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.run_until_complete(_leave(loop))
        asyncio.set_event_loop(None)
        loop.close()


async def _leave(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        places = sorted({place_of_task(task) for task in left})
        _log.warning("tasks that were left running: %d, at %s", len(left), "; ".join(places[:5]))
    for task in await cancel(left):
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - told above
    with suppress(TimeoutError, Exception):
        await within(CANCEL_S, loop.shutdown_asyncgens())
    executor = getattr(loop, "_default_executor", None)
    if executor is not None:
        ending = threading.Thread(target=executor.shutdown, daemon=True)
        ending.start()
        ending.join(_EXECUTOR_S)


async def _contained(work: Awaitable[T]) -> T:
    try:
        return await work
    except BaseException as error:
        if asked_to_end(error):
            raise
        raise contained(error) from error
