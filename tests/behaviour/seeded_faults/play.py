"""Plays a case in this process, and makes the account of it for the oracle."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import av
from rtpipe import AudioFrame, Event, RtpipeError, loads
from rtpipe.cli.display import Terminal
from rtpipe.cli.settings import Settings
from rtpipe.link import LinkStatistics
from rtpipe.running import bounded
from rtpipe.running.runtime import Pipeline
from rtpipe.stage import family
from rtpipe.testing import VirtualLoop

from behaviour.seeded_faults.case import LATEST_S, Case
from behaviour.seeded_faults.oracle import (
    Account,
    FileAccount,
    LinkAccount,
    Passed,
    StageAccount,
)

_ONE_TO_ONE = {"gain", "level", "vad", "strange_transform", "strange_thread"}
_SAME_LENGTH = {"resample"}
_BELIEVED_S = 3600
"""Holes up to here are filled."""
_SLACK = {".wav": 0, ".flac": 0, ".mka": 4000, ".ogg": 4000, ".m4a": 4000}
_REAL_S = 3.0
_LEAST_BYTES = 1000
"""A full disk that takes less does not take a header."""


class Tap:
    """Counts what passes at a stage, and the silence that its holes ask for."""

    def __init__(self) -> None:
        self.passed = Passed()
        self.samples = 0
        self.fills = 0
        self.lead = 0
        self.channels = {0}
        self._next: int | None = None

    def __call__(self, frame: AudioFrame) -> None:
        self.passed.frames += 1
        self.passed.ms += frame.samples / frame.sample_rate * 1000
        self.passed.rates.add(frame.sample_rate)
        self.samples += frame.samples
        self.channels.add(frame.layout.nb_channels)
        if self._next is None:
            self.lead = max(frame.pts or 0, 0)
        hole = 0 if self._next is None else (frame.pts or 0) - self._next
        if 0 < hole <= _BELIEVED_S * frame.sample_rate:
            self.fills += hole
        self._next = (frame.pts or 0) + frame.samples


def play(case: Case) -> Account:
    """Play `case` to its end."""
    account = Account(leaky=_leaves_tasks(case))
    events: list[Event] = []
    with ExitStack() as stack:
        for begin in case.before:
            stack.callback(begin())
        left = stack.enter_context(_watched())
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
        account.left = left
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
    account.failed = sorted(
        {
            event.source
            for event in events
            if event.source in pipeline.graph.nodes
            and (
                (event.type == "stage.status_changed" and event.payload()["status"] == "failed")
                or (event.type == "stage.failed" and event.payload()["policy"] == "fail")
            )
        }
        | {
            event.source
            for event in events
            if event.type == "stage.status_changed" and event.payload()["status"] == "failed"
        }
    )
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
            account.files.append(_file(case, sink, taps[sink["id"]], events, account))


def _file(
    case: Case, sink: dict[str, Any], tap: Tap, events: list[Event], account: Account
) -> FileAccount:
    name = sink["id"]
    options = sink.get("file_sink") or sink["recorder"]
    path = Path(options["path"])
    made = FileAccount(name, taken=tap.samples, fills=tap.fills, slack=_SLACK[path.suffix])
    made.failed = name in account.failed or any(fault.startswith("disk") for fault in case.faults)
    if "recorder" in sink and not case.live and tap.lead <= _BELIEVED_S * 48_000:
        made.fills += tap.lead  # it begins where the stream does
    for event in events:
        if event.source == name and event.type == "recorder.stopped":
            made.lost = round(event.payload()["lost_s"] * 48_000)
            made.slack = max(made.slack, 48) if made.lost else made.slack
    files = sorted(path.parent.glob("*")) if path.parent.is_dir() else []
    sounds = [file for file in files if file.suffix == path.suffix]
    for file in sounds:
        try:
            made.samples += _samples(file)
            if file.suffix == ".wav" and max(tap.channels) <= 2:  # `wave` knows no speakers
                with wave.open(str(file)) as reader:
                    made.wave = (made.wave or 0) + reader.getnframes()
        except (OSError, ValueError, EOFError, wave.Error) as error:
            if made.failed and not file.stat().st_size:
                continue
            made.unreadable = f"{file.name} ({file.stat().st_size} bytes) cannot be read: {error!r}"
    made.slack *= max(len(sounds), 1)
    if case.largest is not None and case.largest < _LEAST_BYTES:
        made.unreadable, made.wave = "", None
    return made


def _samples(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream))


def _lost_ms(seen: LinkStatistics) -> float:
    gone_ms = seen.dropped_ms + seen.trimmed_ms + seen.flushed_ms
    return gone_ms + seen.refused_ms + seen.depth_ms


def _leaves_tasks(case: Case) -> bool:
    return any(
        word in fault for fault in case.faults for word in ("leak", "swallow", "hang", "endless")
    )


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Collect what rtpipe logs of tasks that were left."""
    left: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "left running" in record.msg:
                left.append(record.getMessage())

    logger, handler = logging.getLogger("rtpipe"), Listener()
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield left
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


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
            stream = Path("/dev/full").open("w", encoding="utf-8")
        case "latin-1" | "closed":
            stream = Path(os.devnull).open("w", encoding="latin-1")
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
