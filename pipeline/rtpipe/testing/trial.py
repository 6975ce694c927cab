"""One scenario on an event loop of its own, and what is left of the stage when it is over."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtpipe.errors import EnvironmentProblem
from rtpipe.testing.cancelling import abandon
from rtpipe.testing.explaining import hangs, raised
from rtpipe.testing.promises import Broken
from rtpipe.testing.virtual_time import ThreadStuckError, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from rtpipe.stage import Stage

_END_S = 60.0
_THREAD_END_S = 2.0
_THREAD_S = 20.0


def findings_of(
    stage_type: type[Stage[Any]],
    label: str,
    scenario: Callable[[], Coroutine[Any, Any, None]],
    *,
    real_time: bool,
) -> list[str]:
    """Return what is wrong with a stage in one scenario.

    Raises:
        EnvironmentProblem: It cannot be opened here.
    """
    found: list[str] = []
    threads = set(threading.enumerate())

    def background(_: object, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        said = context.get("message") if error is None else raised(error, stage_type)
        found.append(f"in the background: {said}")

    loop = asyncio.new_event_loop() if real_time else VirtualLoop(thread_s=_THREAD_S)
    loop.set_exception_handler(background)
    try:
        loop.run_until_complete(_watched(stage_type, label, scenario, found))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except ThreadStuckError as stuck:
        found.append(f"{stuck}: what waits there must end when close() was called, or be asked to")
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    finally:
        executor = getattr(loop, "_default_executor", None)
        if executor is not None:
            executor.shutdown(wait=False)  # its threads are looked at below
        loop.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(_THREAD_END_S)
        if thread.is_alive():
            found.append(
                f"the thread {thread.name!r} still runs after close(): tell it to end there, and "
                "join it"
            )
    return found


async def _watched(
    stage_type: type[Stage[Any]],
    label: str,
    scenario: Callable[[], Coroutine[Any, Any, None]],
    found: list[str],
) -> None:
    running = asyncio.ensure_future(scenario())
    await asyncio.wait({running}, timeout=_END_S)
    ended = running.done()
    if not ended:
        running.cancel()
        await asyncio.wait({running}, timeout=1.0)
    try:
        if not running.done():
            await abandon(running)
            found.append(hangs(None, stage_type, _END_S))
        else:
            running.result()
    except asyncio.CancelledError as error:
        found.append(hangs(error, stage_type, _END_S))
    except EnvironmentProblem:
        raise
    except Broken as broken:
        found.append(str(broken))
    except Exception as error:  # noqa: BLE001 - whatever a stage raises here is a finding
        said = raised(error, stage_type, label)
        found.append(said if ended else hangs(error, stage_type, _END_S))
    for _ in range(3):
        await asyncio.sleep(0)  # what was cancelled may end
    for task in asyncio.all_tasks() - {asyncio.current_task(), running}:
        found.append(
            f"the task {_name(task)} still runs after close(): cancel it there, and await it"
        )
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=1.0)
        if not task.done():
            await abandon(task)


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
