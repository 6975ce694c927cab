"""The audio watch: tells when audio flows and who keeps it from flowing, and ends what is timed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.errors import EnvironmentProblem, ExitCode, StageError
from rtpipe.events import (
    Event,
    Importance,
    PipelineAudioStarted,
    PipelineAudioStartedLate,
    StageAudioStarted,
    StageRestarted,
    StageStalled,
    StageWaiting,
    attributed_line,
)
from rtpipe.hookspecs import hookimpl
from rtpipe.running.state import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rtpipe.errors import RtpipeError
    from rtpipe.running.runtime import Pipeline
    from rtpipe.running.state import StageState

SILENT_S = 5.0
"""A source that has given no audio for so long is named."""
OPENING_S = 10.0
"""So is a stage that is being opened for so long; a model takes its time."""
LEAST_WAIT_S = 30.0
"""A run with a limit waits so long for audio at least."""
LATE_S = 1.0
"""A first sound that comes later is told to people, too."""
_NO_REASONS = {StageWaiting.type, StageRestarted.type, StageStalled.type}
_LOOK_S = 0.1
_LOOK_LATER_S = 1.0


class AudioWatch:
    """The extension of a running pipeline that looks, by a timer, whether audio flows.

    Audio flows once a sink or a peer took a frame.

    Args:
        limit_s: How long to run from then on (s). Where none has flowed for as long, but at least
            `LEAST_WAIT_S`, the pipeline ends too. None: both for ever.

    Attributes:
        failures: Why a pipeline that it ended failed: no audio flowed, or a stage was down then.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self._limit_s = limit_s
        self.failures: dict[Pipeline, RtpipeError] = {}

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def rtpipe_running(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Watch the pipeline until it stops."""
        watching = asyncio.create_task(_Watch(self.failures, pipeline, self._limit_s).run())

        def stopping(_: Event) -> None:
            watching.cancel()

        unsubscribe = pipeline.bus.subscribe("pipeline.stopping", stopping)
        try:
            yield
        finally:
            unsubscribe()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


class _Watch:
    """One run's."""

    def __init__(
        self, failures: dict[Pipeline, RtpipeError], pipeline: Pipeline, limit_s: float | None
    ) -> None:
        self._failures = failures
        self._pipeline = pipeline
        self._limit_s = limit_s
        self._opened_at: float | None = None
        self._flows_at: float | None = None
        self._since: dict[tuple[str, bool], float] = {}
        """Since when a stage keeps audio from flowing, by its id and whether it is being opened."""
        self._named: set[tuple[str, bool]] = set()
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        unsubscribe = self._pipeline.bus.subscribe("*", self._hear)
        try:
            while True:
                states, now = self._pipeline.state(), self._pipeline.clock.now()
                self._look_at_silent(states, now)
                self._look_at_flow(states, now)
                end_at = self._end_at()
                if end_at is not None and now >= end_at:
                    self._end(states)
                    return
                pause_s = _LOOK_S if self._flows_at is None else _LOOK_LATER_S
                await asyncio.sleep(pause_s if end_at is None else min(pause_s, end_at - now))
        finally:
            unsubscribe()

    def _hear(self, event: Event) -> None:
        if event.type == "pipeline.started":
            self._opened_at = event.at
        elif type(event).importance >= Importance.WARNING and event.type not in _NO_REASONS:
            self._trouble[event.source] = attributed_line(event)[1]

    def _look_at_flow(self, states: Iterable[StageState], now: float) -> None:
        if self._flows_at is not None or not any(state.took_audio for state in states):
            return
        self._flows_at = now
        started = PipelineAudioStartedLate if now >= LATE_S else PipelineAudioStarted
        opening_s = round(self._opened_at or 0.0, 1)
        self._tell(started(source="pipeline", after_s=round(now, 1), opening_s=opening_s))

    def _look_at_silent(self, states: Iterable[StageState], now: float) -> None:
        """Name who has waited for long, and say when it is over."""
        waiting = {(state.id, state.opening): state for state in _waited_for(states)}
        gives = {(state.id, False) for state in states if state.last is not None}
        for key in self._since.keys() - waiting.keys():
            waited_s = round(now - self._since.pop(key), 1)
            if key in self._named & gives:
                self._tell(StageAudioStarted(source=key[0], waited_s=waited_s))
            self._named.discard(key)
        for key, state in waiting.items():
            waited_s = round(now - self._since.setdefault(key, now), 1)
            if key not in self._named and waited_s >= (OPENING_S if state.opening else SILENT_S):
                self._named.add(key)
                self._tell(
                    StageWaiting(
                        source=state.id,
                        waited_s=waited_s,
                        opening=state.opening,
                        reason=self._reason(state),
                    )
                )

    def _end_at(self) -> float | None:
        if self._limit_s is None:
            return None
        if self._flows_at is None:
            return max(self._limit_s, LEAST_WAIT_S)
        return self._flows_at + self._limit_s

    def _end(self, states: list[StageState]) -> None:
        assert self._limit_s is not None
        over = f"{self._limit_s:g} s are over"
        if self._flows_at is None:
            over = f"no audio within {max(self._limit_s, LEAST_WAIT_S):g} s"
            self._failures[self._pipeline] = EnvironmentProblem(
                f"{over}: {self._culprits(states)}",
                help="`rtpipe doctor FILE` tries every device, address and command of a file",
            )
        elif down := [state for state in states if state.status is Status.RECOVERING]:
            self._failures[self._pipeline] = StageError(
                "; ".join(f"{state.id}: was down when {over}: {state.detail}" for state in down),
                exit_code=ExitCode.TEMPORARY,
            )
        self._pipeline.stop(over)

    def _culprits(self, states: list[StageState]) -> str:
        """Return who keeps audio from flowing, and why as far as it is known."""
        said = []
        for state in _waited_for(states):
            what = "is still being opened" if state.opening else "has given none"
            reason = self._reason(state)
            said.append(f"`{state.id}` {what}{f' ({reason})' if reason else ''}")
        held = next((state.id for state in states if state.last is None), "")
        return "; ".join(said) or f"nothing has come out of `{held}`"

    def _reason(self, state: StageState) -> str:
        reason = state.detail or self._trouble.get(state.id) or state.gauge
        return self._pipeline.spec.masked(reason)

    def _tell(self, event: Event) -> None:
        self._pipeline.bus.publish(replace(event, at=self._pipeline.clock.now()))


def _waited_for(states: Iterable[StageState]) -> list[StageState]:
    """Return who keeps audio from flowing: the stage that is being opened, else silent sources."""
    opening = [state for state in states if state.opening]
    return opening or [state for state in states if state.waiting]
