"""What stages hold when a live stream ends: more than a queue holds, and all of it arrives."""

from __future__ import annotations

from typing import Any

import pytest

import rtpipe
from rtpipe import AudioFrame, Options, Sink, Transform, hookimpl
from rtpipe.stage import Processed
from rtpipe.testing import run_pipeline

HELD = 50  # a second, where a live queue holds 80 ms


class HoldOptions(Options):
    """None."""


class Hold(Transform[HoldOptions]):
    """Gives the last second out at the end."""

    kind = "hold"

    async def open(self) -> None:
        self._held: list[AudioFrame] = []

    def process(self, frame: AudioFrame) -> Processed:
        self._held.append(frame)
        return self._held.pop(0) if len(self._held) > HELD else None

    def finish(self) -> Processed:
        return self._held


class SlowHold(Hold):
    """The same behind a queue of its own."""

    kind = "slow_hold"
    blocking = True


class Paced(Sink[HoldOptions]):
    """Takes a frame every 20 ms, as a device does."""

    kind = "paced"
    taken: int = 0

    @classmethod
    def has_clock(cls, options: Any) -> bool:
        return True

    async def consume(self, frame: AudioFrame) -> None:
        Paced.taken += frame.samples
        await self.ctx.clock.sleep_until(self.ctx.now() + 0.02)


class Kinds:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Hold, SlowHold, Paced]


@pytest.mark.parametrize("kind", ["hold", "slow_hold"])
@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest", "block", "fail"])
def test_no_queue_drops_what_a_stream_ends_with(kind: str, when_full: str) -> None:
    Paced.taken = 0
    pipeline = rtpipe.loads(
        f"""
version: 1
stages:
  - tone: {{duration_s: 2, realtime: true}}
  - {kind}
  - paced:
    queue: {{max_ms: 80, when_full: {when_full}}}
""",
        plugins=[Kinds()],
    )
    run_pipeline(pipeline)
    assert Paced.taken == 2 * 48_000
    links = [link for state in pipeline.state() for link in state.links]
    assert sum(link.frames_dropped + link.frames_refused for link in links) == 0
