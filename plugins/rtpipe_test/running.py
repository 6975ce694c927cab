"""One test is run: its pipeline in virtual time, what is done meanwhile, what is seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rtpipe import Event, Pattern, RtpipeError
from rtpipe.documents import read_call
from rtpipe.testing import run_virtual
from rtpipe_test.moments import Moment
from rtpipe_test.observing import Heard, Observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe import AudioFrame, Pipeline
    from rtpipe_test.failing import Failure
    from rtpipe_test.section import Case, Step


def run_case(case: Case, pipeline: Pipeline, failures: Mapping[str, Failure]) -> Observation:
    """Run a test's pipeline to its end, and return what was seen.

    Args:
        case: The test.
        pipeline: Its pipeline, not run yet.
        failures: What the test can make fail, by id.
    """
    return run_virtual(_Run(case, pipeline, failures).run())


@dataclass(frozen=True, kw_only=True)
class _Published(Event):
    """What a test publishes: any type with any fields."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def payload(self) -> Mapping[str, Any]:
        """See `Event.payload`."""
        return self.said


@dataclass(slots=True)
class _Awaited:
    """A step that waits for an event."""

    pattern: Pattern
    left: int
    plus_s: float


class _Run:
    def __init__(self, case: Case, pipeline: Pipeline, failures: Mapping[str, Failure]) -> None:
        self._case = case
        self._pipeline = pipeline
        self._failures = failures
        self._seen = Observation()
        self._awaited: dict[int, _Awaited] = {}
        self._undone = dict(enumerate(case.do))

    async def run(self) -> Observation:
        seen, pipeline = self._seen, self._pipeline
        pipeline.bus.subscribe("*", self._happened)
        for id in listened_to(self._case):
            heard = seen.heard[id] = Heard()
            pipeline.tap_output(id, partial(self._came, heard))
        self._plan()
        limit = asyncio.get_running_loop().call_later(
            self._case.for_s, pipeline.stop, "the test's time is up"
        )
        try:
            await pipeline.run()
        except RtpipeError as error:
            seen.failure = error
        finally:
            limit.cancel()
        seen.ended_at = pipeline.clock.now()
        for state in pipeline.state():
            lost_ms = sum(link.dropped_ms + link.refused_ms for link in state.links)
            seen.dropped_ms[state.id] = round(lost_ms, 3)
        seen.unmet += [
            (number, f"was not done: {_when(step)}") for number, step in self._undone.items()
        ]
        return seen

    def _plan(self) -> None:
        for number, step in self._undone.items():
            moment = Moment.read(step.at)
            if moment.event:
                pattern = Pattern(moment.event)
                self._awaited[number] = _Awaited(pattern, moment.number, moment.plus_s)
            else:
                self._soon(number, moment.plus_s)

    def _soon(self, number: int, pause_s: float) -> None:
        asyncio.get_running_loop().call_later(max(0.0, pause_s), self._do, number)

    def _came(self, heard: Heard, frame: AudioFrame) -> None:
        heard.take(self._pipeline.clock.now(), frame)

    def _happened(self, event: Event) -> None:
        self._seen.events.append(event)
        for number, awaited in list(self._awaited.items()):
            awaited.left -= awaited.pattern.matches(event.type)
            if not awaited.left:
                del self._awaited[number]
                self._soon(number, awaited.plus_s)

    def _do(self, number: int) -> None:
        step = self._undone.pop(number)
        try:
            self._done(step)
        except Exception as error:  # noqa: BLE001 - an action may raise anything
            self._seen.unmet.append((number, f"{type(error).__name__}: {error}"))

    def _done(self, step: Step) -> None:
        if step.action is not None:
            call = read_call(step.action)
            self._pipeline.perform(call.stage, call.action, *call.args, **call.kwargs)
        elif step.publish is not None:
            said = dict(step.publish)
            envelope = {"type": said.pop("type"), "source": str(said.pop("source", "test"))}
            now = self._pipeline.clock.now()
            self._pipeline.bus.publish(_Published(**envelope, at=now, said=said))
        elif step.fail is not None:
            self._failures[step.fail].ask()


def listened_to(case: Case) -> list[str]:
    """Return the ids of the stages that a test listens to."""
    named = (
        each
        for expected in case.expect
        for each in (expected.sound, expected.silence, expected.of)
        if each is not None
    )
    return list(dict.fromkeys(named))


def _when(step: Step) -> str:
    moment = Moment.read(step.at)
    if moment.event:
        return f"`{moment.event}` did not happen{f' {moment.number} times' * (moment.number > 1)}"
    return f"the pipeline ended before second {moment.plus_s:g}"
