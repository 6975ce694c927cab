"""Plays a case in this process, and makes the account of it for the oracle."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self
from unittest import mock

from behaviour.seeded_faults.case import LATEST_S, Case
from behaviour.seeded_faults.hearing import Tap, file_account
from behaviour.seeded_faults.oracle import (
    Account,
    LinkAccount,
    StageAccount,
)
from rtpipe import Event, RtpipeError, loads
from rtpipe.cli.display import Terminal
from rtpipe.cli.settings import Settings
from rtpipe.link import LinkStatistics
from rtpipe.running import bounded
from rtpipe.running.runtime import Pipeline
from rtpipe.stage import family
from rtpipe.testing import VirtualLoop

_ONE_TO_ONE = {"gain", "level", "vad", "strange_transform", "strange_thread"}
_SAME_LENGTH = {"resample"}
_REAL_S = 3.0


def play(case: Case) -> Account:
    """Play `case` to its end."""
    account = Account(leaky=_leaves_tasks(case))
    events: list[Event] = []
    with ExitStack() as stack:
        for begin in case.before:
            stack.callback(begin())
        own = stack.enter_context(_Listener("rtpipe", logging.WARNING))
        loops = stack.enter_context(_Listener("asyncio", logging.ERROR))
        terminal = [Terminal(Settings())] if case.display else []
        try:
            pipeline = loads(
                json.dumps(case.document()),
                path=case.folder / "case.yaml",
                plugins=[case, *terminal],
            )
        except RtpipeError as error:
            account.stray = f"does not load: {error}"
            return account
        taps = {id: Tap() for id in pipeline.graph.nodes}
        for id, tap in taps.items():
            pipeline.tap_output(id, tap)
        pipeline.bus.subscribe("*", events.append)
        stack.enter_context(_displayed(case.display))
        stack.enter_context(_limited(case.largest))
        _run(case, pipeline, account)
        gc.collect()  # a task that nobody waited for says so when it goes
        account.left = [text for text in own.heard if "left running" in text]
        account.noise = loops.heard
    _account(case, pipeline, taps, events, account)
    return account


def _run(case: Case, pipeline: Pipeline, account: Account) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for at, happens in case.moments:
            loop.call_later(at, happens, pipeline)
        loop.call_later(_REAL_S if case.real else LATEST_S, pipeline.stop, "that is enough")
        await pipeline.run()

    make: Callable[[], asyncio.AbstractEventLoop]
    make = asyncio.SelectorEventLoop if case.real else VirtualLoop
    try:
        with mock.patch.object(asyncio, "new_event_loop", make):
            bounded.run(main())
    except RtpipeError as error:
        account.code, account.error = int(error.exit_code), error.message
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        account.stray = repr(error)
        if isinstance(error, RuntimeError) and "deadlock" in str(error):
            account.stray += f" at {error.__traceback__}"


def _account(
    case: Case, pipeline: Pipeline, taps: dict[str, Tap], events: list[Event], account: Account
) -> None:
    account.failed = sorted({event.source for event in events if _is_final(event)})
    account.wronged = case.ledger.wronged
    account.named = {
        event.source
        for event in events
        if event.type == "stage.failed"
        or (
            event.type == "stage.status_changed"
            and event.payload()["status"] in {"recovering", "failed"}
        )
    }
    account.ended = sum(event.type == "pipeline.ended" for event in events)
    account.told_dropped_ms = sum(
        event.payload()["dropped_ms"] for event in events if event.type == "link.dropped"
    )
    stopped = any(event.type == "pipeline.stopping" for event in events)
    if case.expected is not None and not stopped:
        rates = taps["src"].passed.rates or {48_000}
        account.expected_ms = case.expected / next(iter(rates)) * 1000
    if case.whole_ms is not None and not stopped:
        account.missing_ms = case.whole_ms - taps["src"].passed.ms
    account.damage_told = any(event.type == "media.damaged" for event in events)
    states = {state.id: state for state in pipeline.state()}
    came: dict[str, int | None] = {}
    due_ms: dict[str, float] = {}
    for feeder, edges in pipeline.plan.edges.items():
        given = taps[feeder].passed
        for edge in edges:
            target = None if edge.target is None else edge.target.sample_rate
            reframes = edge.exact_ms is not None or len(given.rates | {target or 0} - {0}) > 1
            if edge.policy is None:
                came[edge.reader] = None if reframes else given.frames
                continue
            statistics = states[edge.reader].links[edge.inlet]
            due_ms[edge.reader] = due_ms.get(edge.reader, 0.0) + given.ms - _lost_ms(statistics)
            name = f"{edge.feeder} -> {edge.reader}"
            account.links.append(LinkAccount(name, given, statistics, reframes))
            came[edge.reader] = (came.get(edge.reader) or 0) + statistics.frames_out
    for id, node in pipeline.graph.nodes.items():
        kind = node.spec.kind
        account.stages.append(
            StageAccount(
                name=id,
                family=family(node.spec.stage_type),
                passed=taps[id].passed,
                lost=states[id].lost_frames,
                came=came.get(id),
                due_ms=due_ms.get(id) if kind in _SAME_LENGTH or not node.outputs else None,
                one_to_one=kind in _ONE_TO_ONE,
                swallowed=case.ledger.swallowed[id],
                added=case.ledger.added[id],
                consumed=case.ledger.consumed[id] if kind == "strange_sink" else None,
            )
        )
    for sink in case.sinks:
        if {"file_sink", "recorder"} & sink.keys():
            account.files.append(file_account(case, sink, taps[sink["id"]], events, account))


def _is_final(event: Event) -> bool:
    """Return whether a stage has failed for good."""
    said = event.payload()
    if event.type == "stage.failed":
        return bool(said["policy"] == "fail")
    return event.type == "stage.status_changed" and said["status"] == "failed"


def _lost_ms(seen: LinkStatistics) -> float:
    gone_ms = seen.dropped_ms + seen.trimmed_ms + seen.flushed_ms
    return gone_ms + seen.refused_ms + seen.depth_ms


def _leaves_tasks(case: Case) -> bool:
    return any(
        word in fault for fault in case.faults for word in ("leak", "swallow", "hang", "endless")
    )


class _Listener(logging.Handler):
    """Collects what is logged, in place of who else would show it."""

    def __init__(self, logger: str, level: int) -> None:
        super().__init__(level)
        self.heard: list[str] = []
        self._logger = logging.getLogger(logger)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.heard.append(f"{record.getMessage()} {error!r}" if error else record.getMessage())

    def __enter__(self) -> Self:
        self._logger.addHandler(self)
        self._propagates, self._logger.propagate = self._logger.propagate, False
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagates


@contextmanager
def _limited(largest: int | None) -> Iterator[None]:
    """Let no file of this process become larger: a full disk that needs no root."""
    if largest is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _displayed(name: str) -> Iterator[None]:
    """Put something else in the place of stdout and stderr."""
    if not name:
        yield
        return
    reading = -1
    stream: Any = None
    match name:
        case "broken pipe" | "full pipe":
            reading, writing = os.pipe()
            if name == "full pipe":
                os.set_blocking(writing, False)
                with suppress(BlockingIOError):
                    while True:
                        os.write(writing, bytes(65_536))
                os.set_blocking(writing, True)
            else:
                os.close(reading)
                reading = -1
            stream = os.fdopen(writing, "w", encoding="utf-8")
        case "full disk":
            stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115, PTH123 - closed below
        case "latin-1" | "closed":
            stream = open(os.devnull, "w", encoding="latin-1")  # noqa: SIM115, PTH123 - closed below
            if name == "closed":
                stream.close()
    with mock.patch.object(sys, "stdout", stream), mock.patch.object(sys, "stderr", stream):
        try:
            yield
        finally:
            if stream is not None:
                with suppress(OSError, ValueError):
                    if reading >= 0:
                        os.close(reading)
                    stream.close()
