"""The watchdog: names the stage that holds the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.events import StageStalled
from rtpipe.hookspecs import hookimpl
from rtpipe.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import FrameType

    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline
    from rtpipe.stage import StageContext

_BEAT_S = 0.1
_JOIN_S = 1.0
PATIENCE_S = 0.5


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
"""By the loop that its pipelines run on."""


@hookimpl(tryfirst=True)
@asynccontextmanager
async def rtpipe_running(pipeline: Pipeline) -> AsyncIterator[None]:
    """Watch the loop that `pipeline` runs on, and publish its stalls.

    One watchdog for all pipelines on a loop.
    """
    loop = asyncio.get_running_loop()
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch(loop)
    watch.pipelines.append(pipeline)
    try:
        yield
    finally:
        watch.pipelines.remove(pipeline)
        if not watch.pipelines:
            del _watches[loop]
            watch.watchdog.stop()


class _Watch:
    """A loop's watchdog, and the pipelines that it tells."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pipelines: list[Pipeline] = []
        self.watchdog = Watchdog(loop, self._tell)
        self.watchdog.start()

    def _tell(self, event: Event, culprit: StageContext | None) -> None:
        if culprit is not None:
            culprit.publish(event)
            return
        for pipeline in self.pipelines:  # whose code it was is not known
            pipeline.bus.publish(replace(event, at=pipeline.clock.now()))


class Watchdog:
    """Watches one event loop from a thread of its own.

    A loop that does not answer within `patience_s` is held by somebody: the stack of its thread
    tells by whom. Each stall is told once, when it is over, with its whole length.

    Args:
        loop: The loop to watch; its thread must be the one that calls `start`.
        tell: Called on the loop with a `StageStalled`, and the context of the stage that held it
            if it was one.
        patience_s: How long a callback may take.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Event, StageContext | None], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._patience_s = patience_s
        self._news = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="rtpipe-watchdog", daemon=True)
        self._watched = 0

    def start(self) -> None:
        """Begin to watch."""
        self._watched = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when the thread has ended, after a second at the latest."""
        with self._news:
            self._stopped = True
            self._news.notify_all()
        self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        while not self._wait(lambda: False, _BEAT_S):
            self._asked += 1
            asked_at = time.monotonic()
            self._loop.call_soon_threadsafe(self._answer, self._asked)
            if self._wait(self._has_answered, self._patience_s):
                continue
            culprit, where = _culprit(sys._current_frames().get(self._watched))  # noqa: SLF001 - the documented way to a thread's stack
            self._wait(self._has_answered)
            if self._stopped:
                return
            held_ms = (time.monotonic() - asked_at) * 1000
            source = "pipeline" if culprit is None else culprit.id
            event = StageStalled(source=source, held_ms=round(held_ms, 1), where=where)
            self._loop.call_soon_threadsafe(self._tell, event, culprit)

    def _wait(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `condition` holds or somebody stops the watch; False if neither came."""
        with self._news:
            return self._news.wait_for(lambda: self._stopped or condition(), timeout_s)

    def _has_answered(self) -> bool:
        return self._answered == self._asked

    def _answer(self, asked: int) -> None:
        with self._news:
            self._answered = asked
            self._news.notify_all()


def _culprit(frame: FrameType | None) -> tuple[StageContext | None, str]:
    """Return the context of the stage in whose method a thread is, and the line it is at."""
    culprit, place = None, frame
    outer = frame
    while outer is not None:
        owner = outer.f_locals.get("self")
        if isinstance(owner, Stage):
            culprit, place = owner.ctx, outer
            break
        outer = outer.f_back
    if place is None:
        return culprit, "an unknown place"
    return culprit, f"{place.f_code.co_filename}:{place.f_lineno} in {place.f_code.co_name}"
