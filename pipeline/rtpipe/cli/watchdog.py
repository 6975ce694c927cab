"""The watchdog: names the stage that holds the event loop."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from rtpipe.events import StageStalled
from rtpipe.stage import Stage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

    from rtpipe.events import Event

_BEAT_S = 0.1
PATIENCE_S = 0.5


class Watchdog:
    """Watches one event loop from a thread of its own.

    A loop that does not answer within `patience_s` is held by somebody: the stack of its thread
    tells by whom. Each stall is told once, when it is over, with its whole length.

    Args:
        loop: The loop to watch; its thread must be the one that calls `start`.
        tell: Called on the loop with a `StageStalled`.
        patience_s: How long a callback may take.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Event], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._patience_s = patience_s
        self._answered = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rtpipe-watchdog", daemon=True)
        self._watched = 0

    def start(self) -> None:
        """Begin to watch."""
        self._watched = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when the thread has ended."""
        self._done.set()
        self._answered.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_BEAT_S):
            self._answered.clear()
            asked = time.monotonic()
            self._loop.call_soon_threadsafe(self._answered.set)
            if self._answered.wait(self._patience_s):
                continue
            source, where = _culprit(sys._current_frames().get(self._watched))  # noqa: SLF001 - the documented way to a thread's stack
            self._answered.wait()
            if self._done.is_set():
                return
            held_ms = (time.monotonic() - asked) * 1000
            event = StageStalled(source=source, held_ms=round(held_ms, 1), where=where)
            self._loop.call_soon_threadsafe(self._tell, event)


def _culprit(frame: FrameType | None) -> tuple[str, str]:
    """Return the stage in whose method a thread is, or "pipeline", and the line it is at."""
    source, place = "pipeline", frame
    outer = frame
    while outer is not None:
        owner = outer.f_locals.get("self")
        if isinstance(owner, Stage):
            source, place = owner.ctx.id, outer
            break
        outer = outer.f_back
    if place is None:
        return source, "an unknown place"
    return source, f"{place.f_code.co_filename}:{place.f_lineno} in {place.f_code.co_name}"
