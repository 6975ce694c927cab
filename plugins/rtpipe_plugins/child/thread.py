"""A thread for a stage's blocking calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class OwnThread:
    """Makes blocking calls one after another, off the event loop.

    One thread rather than asyncio's pool, so that whatever closes waits its turn: libraries crash
    when they are closed in the middle of a call, and cancelling the waiter does not end the call.

    Args:
        name: Of the thread.
        may_hang: Whether a call may take for ever, and the process is to end all the same: what
            talks to a sound server, or reads a FIFO. Not for what writes.
    """

    def __init__(self, name: str, *, may_hang: bool = False) -> None:
        self._name = name
        self._may_hang = may_hang
        self._executor: Executor | None = None

    def start(self, call: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Make a call after those before it; returns its future result."""
        if self._executor is None:
            self._executor = (
                _Daemon(self._name)
                if self._may_hang
                else ThreadPoolExecutor(1, thread_name_prefix=self._name)
            )
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


def in_daemon_thread(name: str, call: Callable[..., T], *args: object) -> asyncio.Future[T]:
    """Make a call in a thread that nobody waits for: one of asyncio's holds up the exit."""
    executor = _Daemon(name)
    future = asyncio.get_running_loop().run_in_executor(executor, call, *args)
    executor.shutdown()
    return future


class _Daemon(Executor):
    """One thread that a process which ends does not wait for; asyncio's own is waited for."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make a call after those before it."""
        future: Future[T] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature
        """Let the thread end after the calls that wait."""
        self._calls.put(None)

    def _work(self) -> None:
        while (due := self._calls.get()) is not None:
            future, call = due
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 - `sys.exit` in a call ends the call
                future.set_exception(RuntimeError(repr(error)))
