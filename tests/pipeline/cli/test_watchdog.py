"""The watchdog names who holds the loop."""

from __future__ import annotations

import asyncio
import time

from rtpipe import Options, Transform, audio
from rtpipe.audio import AudioFrame
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
    watchdog = Watchdog(asyncio.get_running_loop(), told.set_result, patience_s=0.05)
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
    watchdog = Watchdog(asyncio.get_running_loop(), told.append, patience_s=5.0)
    watchdog.start()
    await asyncio.sleep(0.3)
    watchdog.stop()
    assert not told
