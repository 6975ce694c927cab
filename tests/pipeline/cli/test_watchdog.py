"""The watchdog names who holds the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from rtpipe import Options, Transform, audio
from rtpipe.audio import AudioFrame
from rtpipe.cli import watchdog as module
from rtpipe.cli.watchdog import Watchdog
from rtpipe.events import Event
from rtpipe.stage import StageContext


class Slow(Transform[Options]):
    kind = "slow"

    def process(self, frame: AudioFrame) -> AudioFrame:
        time.sleep(0.3)
        return frame


async def test_it_names_the_stage_and_the_line() -> None:
    told: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    watchdog = Watchdog(asyncio.get_running_loop(), lambda event, _: told.set_result(event), 0.05)
    ctx = StageContext("lazybones", None, lambda _: None, lambda _match, _handler: lambda: None)  # type: ignore[arg-type]
    stage = Slow(Options(), ctx)
    watchdog.start()
    try:
        while not told.done():
            stage.process(audio.silence(960, pts=0))
            await asyncio.sleep(0)
        event = told.result()
    finally:
        watchdog.stop()
    assert event.source == "lazybones"
    assert "in process" in str(event.payload()["where"])
    assert event.payload()["held_ms"] >= 50


async def test_it_is_silent_while_the_loop_answers() -> None:
    told: list[Event] = []
    watchdog = Watchdog(asyncio.get_running_loop(), lambda event, _: told.append(event), 5.0)
    watchdog.start()
    await asyncio.sleep(0.3)
    watchdog.stop()
    assert not told


class HeldLoop:
    """A loop that does not answer: it stands in `Watchdog.stop`, or in a stage."""

    def __init__(self, asked: Callable[[], object] = lambda: None) -> None:
        self.asked = threading.Event()
        self._when_asked = asked

    def call_soon_threadsafe(self, *_: object) -> None:
        self.asked.set()
        self._when_asked()


@pytest.mark.parametrize("patience_s", [0.001, 60.0])
@pytest.mark.parametrize("when", ["before it asks", "while it asks", "when it waits"])
def test_it_ends_at_once_whenever_it_is_stopped(when: str, patience_s: float) -> None:
    stopping: list[threading.Thread] = []

    def stop() -> None:
        stopping.append(threading.Thread(target=watchdog.stop, daemon=True))
        stopping[0].start()
        wait_for(lambda: watchdog._stopped)

    loop: Any = HeldLoop(stop if when == "while it asks" else lambda: None)
    watchdog = Watchdog(loop, lambda *_: None, patience_s)
    watchdog.start()
    if when != "before it asks":
        assert loop.asked.wait(5)
    if when == "when it waits":
        wait_for(lambda: bool(watchdog._news._waiters))  # type: ignore[attr-defined]
    watchdog.stop()
    assert not watchdog._thread.is_alive()


def test_stopping_it_is_bounded_even_when_its_thread_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_JOIN_S", 0.01)
    let_go = threading.Event()
    loop: Any = HeldLoop(let_go.wait)
    watchdog = Watchdog(loop, lambda *_: None)
    watchdog.start()
    assert loop.asked.wait(5)
    watchdog.stop()
    assert watchdog._thread.is_alive()
    let_go.set()
    watchdog._thread.join(5)
    assert not watchdog._thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)
