"""Extensions of a running pipeline: what plugins enter before its stages open and leave at the end.

A fault in one is told and harmless: it delays the pipeline by a bounded time and ends nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from rtpipe.errors import PluginError, RtpipeError
from rtpipe.events import PluginFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

_log = logging.getLogger("rtpipe.plugin")

ENTER_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 5.0
_CANCEL_S = 0.5
"""How long a late one may take over being cancelled."""


class Extension:
    """One plugin's context manager around a running pipeline, held by a task of its own.

    Of its own, because a task group or a timeout that it opens must be left in the task that
    entered it, and cancels that task when it fails: never the pipeline's.

    Args:
        make: The plugin's hook; gives the context manager, or None.
        tell: Called with what went wrong, at most once.
    """

    def __init__(self, make: Callable[[], object], tell: Callable[[BaseException], None]) -> None:
        self._make = make
        self._tell = tell
        self._told = False
        self._leaving = False
        loop = asyncio.get_running_loop()
        self._entered: asyncio.Future[None] = loop.create_future()
        self._leave_asked: asyncio.Future[None] = loop.create_future()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Enter it; returns after `ENTER_TIMEOUT_S` at the latest."""
        self._task = asyncio.create_task(self._hold())
        waited = {self._task, self._entered}
        done, _ = await asyncio.wait(
            waited, timeout=ENTER_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            self._give_up(f"not entered within {ENTER_TIMEOUT_S:g} s")

    async def leave(self) -> None:
        """Leave it, if it was entered; returns shortly after `LEAVE_TIMEOUT_S` at the latest."""
        if self._task is None or self._task.done():
            return
        self._ask_to_leave()
        if not self._entered.done():
            self._task.cancel()
        _, late = await asyncio.wait({self._task}, timeout=LEAVE_TIMEOUT_S)
        if late:
            self._give_up(f"not left within {LEAVE_TIMEOUT_S:g} s")
            await asyncio.wait({self._task}, timeout=_CANCEL_S)

    async def _hold(self) -> None:
        try:
            manager = self._make()
            if manager is not None:
                async with _checked(manager):
                    self._entered.set_result(None)
                    await self._leave_asked
        except asyncio.CancelledError as error:
            if not self._leaving:  # by itself, or by the end of the loop
                self._failed(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code; told
            self._failed(error)

    def _give_up(self, why: str) -> None:
        self._failed(PluginError(why))
        self._ask_to_leave()
        assert self._task is not None
        self._task.cancel()

    def _ask_to_leave(self) -> None:
        self._leaving = True
        if not self._leave_asked.done():
            self._leave_asked.set_result(None)

    def _failed(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # a task group's: its one reason says more
        if not self._told:
            self._told = True
            self._tell(error)


def failure(plugin: str, error: BaseException, mask: Callable[[str], str]) -> PluginFailed:
    """Log that a plugin's part in a running pipeline failed; returns the event that says so.

    Args:
        plugin: Its name.
        error: What it raised.
        mask: Takes known secrets out of a text.
    """
    text = error.message if isinstance(error, RtpipeError) else repr(error)
    event = PluginFailed(plugin=plugin, error=mask(text))
    extra = {"event_importance": event.importance}
    _log.warning("the plugin `%s` failed: %s", plugin, event.error, extra=extra)
    _log.debug("it failed here", exc_info=error)
    return event


def _checked(given: Any) -> AbstractAsyncContextManager[object]:
    """Return `given`; raise PluginError where it is no async context manager."""
    if hasattr(type(given), "__aenter__") and hasattr(type(given), "__aexit__"):
        manager: AbstractAsyncContextManager[object] = given
        return manager
    if inspect.iscoroutine(given):
        given.close()
    raise PluginError(
        f"rtpipe_running() gave {given!r}, which is no async context manager",
        help="write `@hookimpl` above `@contextlib.asynccontextmanager` above `async def`",
    )
