"""Models of speech, loaded once in a process: whoever needs the same one shares it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rtpipe_realtime_server.heap import return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class SharedModel:
    """A model and the one thread in which it works. `take` gives it, `give_back` ends it.

    Args:
        name: What it is, for the thread's name.
        source: Where it comes from; two with the same name and source are one.
        load: Returns the model; called in the thread, before the first work.
    """

    _in_use: ClassVar[dict[Hashable, SharedModel]] = {}

    def __init__(self, name: str, source: Hashable, load: Callable[[], Any]) -> None:
        self._key = name, source
        self._load = load
        self._thread = ThreadPoolExecutor(1, f"rtpipe-{name}")
        self._users = 0
        self._model: Any = None

    @classmethod
    def take(cls, name: str, source: Hashable, load: Callable[[], Any]) -> SharedModel:
        """Return the model of this name and source, for one more user."""
        key = name, source
        if key not in cls._in_use:
            cls._in_use[key] = cls(name, source, load)
        shared = cls._in_use[key]
        shared._users += 1  # noqa: SLF001 - its own
        return shared

    async def run(self, work: Callable[[Any], T]) -> T:
        """Return what `work` makes of the model; one piece of work at a time, in order."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._do, work)

    async def give_back(self) -> None:
        """Let go of it; after the last user the thread ends, and the model's memory is free."""
        self._users -= 1
        if self._users:
            return
        del self._in_use[self._key]
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._model = None

    def _do(self, work: Callable[[Any], T]) -> T:
        if self._model is None:
            self._model = self._load()
            done = work(self._model)
            return_freed_memory()  # to load a model takes twice what it takes
            return done
        return work(self._model)
