"""What a running pipeline tells the service manager: ready, alive, how it is, that it stops.

All pipelines of a process are one service: it is ready when each is.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from rtpipe.errors import on_one_line
from rtpipe.events import (
    PipelineReloaded,
    PipelineReloadRefused,
    PipelineStarted,
    PipelineStopping,
)
from rtpipe_service.notify import Notifier, watchdog_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe import Event, Pipeline

ROLLED_BACK = "RTPIPE_ROLLED_BACK"
"""The environment variable in which a run is told that it stands in for a newer file."""
_RELOADED = [PipelineReloaded.type, PipelineReloadRefused.type]
_BEAT_S = 5.0
_EXTENDED_S = 30
_LONGEST_OPENING_S = 900.0
"""A model of gigabytes on an SD card; what takes longer hangs."""
_LONGEST_STATUS = 200


_services: dict[asyncio.AbstractEventLoop, _Service] = {}
"""By the loop that its pipelines run on."""


@asynccontextmanager
async def reported(pipeline: Pipeline) -> AsyncIterator[None]:
    """Tell of `pipeline` until it is closed."""
    loop = asyncio.get_running_loop()
    service = _services.get(loop)
    if service is None:
        service = _services[loop] = _Service(Notifier(os.environ["NOTIFY_SOCKET"]), watchdog_s())
    service.add(pipeline)
    try:
        yield
    finally:
        if service.remove(pipeline):
            del _services[loop]
            await service.close()


class _Service:
    """One process, as the service manager sees it.

    The beat comes from the event loop: one that is held sends none, and is ended by the manager.

    Args:
        notifier: Where to tell it.
        watchdog_s: Within how many seconds a sign of life is expected; None: nobody waits for one.
    """

    def __init__(self, notifier: Notifier, watchdog_s: float | None) -> None:
        self._notifier = notifier
        self._alive = {} if watchdog_s is None else {"WATCHDOG": 1}
        self._period_s = _BEAT_S if watchdog_s is None else min(watchdog_s / 3, _BEAT_S)
        self._opening: list[Pipeline] = []
        self._pipelines: list[Pipeline] = []
        self._ready = self._stopping = False
        self._status = ""
        self._began = time.monotonic()
        self._beating = asyncio.create_task(self._beat())

    def add(self, pipeline: Pipeline) -> None:
        self._pipelines.append(pipeline)
        self._opening.append(pipeline)
        pipeline.bus.subscribe(PipelineStarted.type, lambda _: self._started(pipeline))
        pipeline.bus.subscribe(PipelineStopping.type, self._tell_stopping)
        pipeline.bus.subscribe("stage.*", lambda _: self._tell_status())
        pipeline.bus.subscribe(_RELOADED, lambda _: self._tell_reloaded())

    def remove(self, pipeline: Pipeline) -> bool:
        """Tell no more of a pipeline; returns whether it was the last."""
        self._pipelines.remove(pipeline)
        if pipeline in self._opening:
            self._opening.remove(pipeline)
        return not self._pipelines

    async def close(self) -> None:
        self._tell_stopping()
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        self._notifier.close()

    async def _beat(self) -> None:
        while True:
            if self._alive:
                self._notifier.send(**self._alive)
            if not self._ready and time.monotonic() - self._began < _LONGEST_OPENING_S:
                self._notifier.send(EXTEND_TIMEOUT_USEC=_EXTENDED_S * 1_000_000)
            self._tell_status()
            await asyncio.sleep(self._period_s)

    def _started(self, pipeline: Pipeline) -> None:
        self._opening.remove(pipeline)
        if not self._opening and not self._ready:
            self._ready = True
            self._status = self._status_now()
            self._notifier.send(READY=1, STATUS=self._status)

    def _tell_stopping(self, event: Event | None = None) -> None:
        if self._stopping or len(self._pipelines) > 1:
            return
        self._stopping = True
        why = f": {event.reason}" if isinstance(event, PipelineStopping) else ""
        self._notifier.send(STOPPING=1, STATUS=self._masked(f"stopping{why}"))

    def _tell_reloaded(self) -> None:
        """Tell of a reload: it takes no time that anybody would have to wait for."""
        if self._ready:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._notifier.send(RELOADING=1, MONOTONIC_USEC=now)
            self._status = self._status_now()
            self._notifier.send(READY=1, STATUS=self._status)

    def _tell_status(self) -> None:
        if self._stopping:
            return
        status = self._status_now()
        if status != self._status:
            self._status = status
            self._notifier.send(STATUS=status)

    def _status_now(self) -> str:
        states = [state for pipeline in self._pipelines for state in pipeline.state()]
        opening = [state.id for state in states if state.opening]
        told = "opening" if self._opening else "running"
        if opening and self._opening:
            told = f"opening: {', '.join(opening)}"
        for state in states:
            if state.status.value in {"recovering", "failed"}:
                told += f"; {state.id} is {state.status.value}: {state.detail}"
        rolled_back = os.environ.get(ROLLED_BACK)
        return self._masked(f"{rolled_back}; {told}" if rolled_back else told)

    def _masked(self, text: str) -> str:
        for pipeline in self._pipelines:
            text = pipeline.spec.masked(text)
        return on_one_line(text, _LONGEST_STATUS)
