"""One stream out of several that each count from 0."""

from __future__ import annotations

import asyncio

from rtpipe import Clock, Timeline, audio
from rtpipe.testing import run_virtual

FRAME = 960


def placed(timeline: Timeline, pts: int) -> int | None:
    frame = audio.silence(FRAME, pts=pts)
    timeline.place(frame)
    return frame.pts


def test_without_a_clock_what_follows_begins_where_the_stream_ended() -> None:
    timeline = Timeline(None)
    assert [placed(timeline, pts) for pts in (0, FRAME)] == [0, FRAME]
    timeline.resume()
    assert placed(timeline, 0) == 2 * FRAME
    timeline.resume()
    assert placed(timeline, 0) == 3 * FRAME


def test_live_a_pause_is_a_hole_of_its_length() -> None:
    async def main() -> None:
        timeline = Timeline(Clock())
        await asyncio.sleep(5)
        assert placed(timeline, 0) == 0
        await asyncio.sleep(2)
        timeline.resume()
        assert placed(timeline, 0) == 2 * 48_000

    run_virtual(main())


def test_live_the_stream_can_begin_before_its_first_frame() -> None:
    async def main() -> None:
        clock = Clock()
        timeline = Timeline(clock, began_at=clock.now())
        await asyncio.sleep(1)
        timeline.resume()
        assert placed(timeline, 0) == 48_000

    run_virtual(main())


def test_live_nothing_is_placed_before_the_end_of_what_was() -> None:
    async def main() -> None:
        timeline = Timeline(Clock())
        assert placed(timeline, 0) == 0
        timeline.resume()  # sooner than the frame has played
        assert placed(timeline, 0) == FRAME

    run_virtual(main())
