"""Links: nothing is lost, doubled or reordered beyond what they count, and none stays late."""

import asyncio
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtpipe import AudioFrame, Link, LinkClosed, QueuePolicy, StageError, WhenFull, audio
from rtpipe.testing import run_virtual


class Feed:
    """Makes frames that follow each other, each with its number."""

    def __init__(self) -> None:
        self.pts = 0

    def frame(self, ms: int = 20) -> AudioFrame:
        made = audio.silence(48 * ms, pts=self.pts)
        self.pts += 48 * ms
        return made


def pts(frame: AudioFrame | None) -> int | None:
    return None if frame is None else frame.pts


class LinkModel(RuleBasedStateMachine):
    """Does anything to a link in any order and compares it with a list that does the same."""

    @initialize(
        max_ms=st.integers(1, 200),
        when_full=st.sampled_from(WhenFull),
        trim=st.booleans(),
    )
    def make(self, max_ms: int, when_full: WhenFull, trim: Any) -> None:
        self.lost_ms = 0.0
        self.policy = QueuePolicy(max_ms, when_full, trim)
        self.link = Link("a -> b", self.policy, on_drop=self.dropped)
        self.feed = Feed()
        self.waiting: deque[AudioFrame] = deque()
        self.given = self.taken = self.refused = 0
        self.given_ms = self.taken_ms = 0.0
        self.ended = False
        self.last_pts = -1

    def dropped(self, ms: float) -> None:
        self.lost_ms += ms

    def depth(self) -> float:
        return sum(audio.duration_ms(frame) for frame in self.waiting)

    @precondition(lambda self: not self.ended)
    @rule(ms=st.sampled_from([1, 10, 20, 20, 20, 55, 200]))
    def offer(self, ms: int) -> None:
        frame = self.feed.frame(ms)
        full = self.depth() >= self.policy.max_ms
        if full and self.policy.when_full is WhenFull.FAIL:
            with pytest.raises(StageError, match="a -> b is full"):
                self.link.offer(frame)
            self.refused += 1
            return
        taken = self.link.offer(frame)
        assert taken is not (full and self.policy.when_full is WhenFull.BLOCK)
        if not taken:
            return
        self.given += 1
        self.given_ms += ms
        match self.policy.when_full:
            case WhenFull.DROP_OLDEST:
                while self.depth() >= self.policy.max_ms:
                    self.waiting.popleft()
            case WhenFull.DROP_NEWEST if full:
                return
        self.waiting.append(frame)

    @rule()
    def take(self) -> None:
        if self.ended and not self.waiting:
            with pytest.raises(LinkClosed):
                self.link.get_nowait()
            return
        frame = self.link.get_nowait()
        if not self.waiting:
            assert frame is None
            return
        assert frame is not None
        assert frame is self.waiting.popleft()
        assert frame.pts is not None
        assert frame.pts > self.last_pts
        self.last_pts = frame.pts
        self.taken += 1
        self.taken_ms += audio.duration_ms(frame)
        trimmed = self.depth() - self.link.depth_ms
        assert trimmed <= 1e-6 or self.policy.trim
        while self.depth() > self.link.depth_ms + 1e-6:
            self.waiting.popleft()  # only whole frames, and only the oldest

    @rule()
    def flush(self) -> None:
        assert self.link.flush() == pytest.approx(self.depth())
        self.waiting.clear()

    @precondition(lambda self: self.given > 15)  # the end comes late, or it is all that is tested
    @rule()
    def close(self) -> None:
        self.link.close()
        self.ended = True

    @precondition(lambda self: self.ended)
    @rule()
    def offer_after_the_end(self) -> None:
        assert self.link.offer(self.feed.frame())
        self.refused += 1

    @invariant()
    def counts_add_up(self) -> None:
        if not hasattr(self, "link"):
            return
        seen = self.link.snapshot()
        assert (seen.frames_in, seen.frames_out) == (self.given, self.taken)
        assert seen.depth_ms == pytest.approx(self.depth())
        assert seen.dropped_ms == pytest.approx(self.lost_ms)
        left = seen.dropped_ms + seen.flushed_ms + seen.trimmed_ms + seen.depth_ms
        assert self.given_ms == pytest.approx(self.taken_ms + left)
        gone = seen.frames_dropped + seen.frames_trimmed + seen.frames_flushed
        assert self.given == self.taken + gone + seen.frames_waiting
        assert seen.frames_waiting == len(self.waiting)
        assert seen.frames_refused == self.refused
        assert self.link.closed is self.ended
        longest = 200  # the last frame always fits in
        assert seen.max_depth_ms <= self.policy.max_ms + longest


TestLinkModel = LinkModel.TestCase
TestLinkModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(
    frames_ms=st.lists(st.sampled_from([1, 20, 200]), max_size=30),
    max_ms=st.integers(1, 300),
    pauses=st.lists(st.integers(0, 50), min_size=1, max_size=5),
)
def test_a_blocking_link_hands_over_everything_in_order(
    frames_ms: list[int], max_ms: int, pauses: list[int]
) -> None:
    async def main() -> None:
        link = Link("a -> b", QueuePolicy(max_ms, WhenFull.BLOCK, trim=False))
        feed = Feed()
        frames = [feed.frame(ms) for ms in frames_ms]

        async def put() -> None:
            for number, frame in enumerate(frames):
                await link.put(frame)
                await asyncio.sleep(pauses[number % len(pauses)] / 1000)
            link.close()

        async def take() -> list[AudioFrame]:
            got: list[AudioFrame] = []
            async for frame in link:
                got.append(frame)
                await asyncio.sleep(pauses[-1 - len(got) % len(pauses)] / 1000)
            return got

        _, got = await asyncio.gather(put(), take())
        assert [pts(frame) for frame in got] == [pts(frame) for frame in frames]
        seen = link.snapshot()
        assert (seen.frames_in, seen.frames_out, seen.depth_ms) == (len(frames), len(frames), 0)

    run_virtual(main())


def test_a_feeder_waits_for_room_and_no_longer() -> None:
    async def main() -> None:
        link = Link("a -> b", QueuePolicy(40, WhenFull.BLOCK, trim=False))
        feed = Feed()
        await link.put(feed.frame())
        await link.put(feed.frame())
        waits = asyncio.create_task(link.put(feed.frame()))
        await asyncio.sleep(10)
        assert not waits.done()
        await link.get()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waits.done()

    run_virtual(main())


def test_a_frame_longer_than_the_link_passes_through_it() -> None:
    async def main() -> None:
        for when_full in WhenFull:
            link = Link("a -> b", QueuePolicy(20, when_full))
            await link.put(Feed().frame(200))
            assert (await link.get()).samples == 9600

    run_virtual(main())


def test_a_cancelled_reader_loses_no_frame() -> None:
    async def main() -> None:
        link = Link("a -> b")
        reading = asyncio.create_task(link.get())
        await asyncio.sleep(0)
        await link.put(Feed().frame())  # wakes the reader, which is cancelled before it runs
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()
        assert (await link.get()).pts == 0

    run_virtual(main())


async def with_a_cancelled_feeder() -> tuple[Link, Feed]:
    """Return a full link whose second frame was given up while it waited for room."""
    link, feed = Link("a -> b", QueuePolicy(20, WhenFull.BLOCK)), Feed()
    await link.put(feed.frame())
    waiting = asyncio.create_task(link.put(feed.frame()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    return link, feed


def test_a_cancelled_feeder_leaves_nothing_behind() -> None:
    async def main() -> None:
        link, _ = await with_a_cancelled_feeder()
        link.close()
        assert [pts(frame) async for frame in link] == [0]
        assert link.snapshot().frames_in == 1

    run_virtual(main())


def test_after_the_end_every_reader_gets_the_end() -> None:
    async def main() -> None:
        link = Link("a -> b")
        readers = [asyncio.create_task(link.get()) for _ in range(2)]
        await asyncio.sleep(0)
        link.close()
        link.close()
        for result in await asyncio.gather(*readers, return_exceptions=True):
            assert isinstance(result, LinkClosed)
        assert [frame async for frame in link] == []

    run_virtual(main())


def test_a_close_ends_the_wait_of_a_feeder() -> None:
    async def main() -> None:
        link = Link("a -> b", QueuePolicy(20, WhenFull.BLOCK))
        feed = Feed()
        await link.put(feed.frame())
        waiting = asyncio.create_task(link.put(feed.frame()))
        await asyncio.sleep(0)
        link.close()
        await asyncio.wait_for(waiting, 1)
        assert [pts(frame) async for frame in link] == [0]
        seen = link.snapshot()
        assert (seen.frames_in, seen.depth_ms) == (1, 0)
        assert (seen.frames_refused, seen.refused_ms) == (1, 20)

    run_virtual(main())


def test_a_feeder_that_is_cancelled_and_a_full_link_that_fails_count_what_is_refused() -> None:
    async def main() -> None:
        link, feed = await with_a_cancelled_feeder()
        link.adopt(QueuePolicy(20, WhenFull.FAIL))
        with pytest.raises(StageError, match="is full"):
            link.offer(feed.frame())
        seen = link.snapshot()
        assert (seen.frames_in, seen.frames_refused, seen.refused_ms) == (1, 2, 40)

    run_virtual(main())


def test_a_flush_makes_room_for_a_feeder_that_waits() -> None:
    async def main() -> None:
        link = Link("a -> b", QueuePolicy(20, WhenFull.BLOCK))
        feed = Feed()
        await link.put(feed.frame())
        waiting = asyncio.create_task(link.put(feed.frame()))
        await asyncio.sleep(0)
        assert link.flush() == 20
        await asyncio.wait_for(waiting, 1)
        assert pts(await link.get()) == 960

    run_virtual(main())


# --- standing latency


async def call(policy: QueuePolicy, *, seconds: float, stall_ms: float, frame_ms: int = 20) -> Link:
    """Feed a link at real-time speed; its reader stalls once, a second after the start."""
    link = Link("mic -> realtime", policy)
    feed = Feed()
    clock = asyncio.get_running_loop()

    async def speak() -> None:
        for number in range(round(seconds * 1000 / frame_ms)):
            await asyncio.sleep(max(0, number * frame_ms / 1000 - clock.time()))
            await link.put(feed.frame(frame_ms))

    async def listen() -> None:
        """Play what comes, one frame after the other: a clock of the same speed."""
        due = 0.0
        stalled = False
        while True:
            frame = await link.get()
            due = max(due, clock.time()) + audio.duration_ms(frame) / 1000
            if not stalled and clock.time() >= 1.0:
                stalled = True
                due += stall_ms / 1000
            await asyncio.sleep(max(0.0, due - clock.time()))

    listening = asyncio.create_task(listen())
    await speak()
    listening.cancel()
    return link


@pytest.mark.parametrize("when_full", [WhenFull.DROP_OLDEST, WhenFull.DROP_NEWEST])
def test_a_live_link_is_not_late_for_ever_after_a_stall(when_full: WhenFull) -> None:
    trimmed = run_virtual(call(QueuePolicy(200, when_full), seconds=6, stall_ms=300))
    assert trimmed.depth_ms <= 20
    assert trimmed.statistics.trimmed_ms >= 140
    stays = run_virtual(call(QueuePolicy(200, when_full, trim=False), seconds=6, stall_ms=300))
    assert stays.depth_ms >= 160  # what it is for


def test_a_link_whose_reader_is_in_time_is_never_trimmed() -> None:
    link = run_virtual(call(QueuePolicy(200), seconds=20, stall_ms=0))
    seen = link.snapshot()
    assert (seen.trimmed_ms, seen.dropped_ms) == (0, 0)


def test_depth_that_is_needed_is_not_trimmed() -> None:
    """A reader that takes 140 ms at once needs them to be there."""

    async def main() -> Link:
        link = Link("a -> b", QueuePolicy(300))
        feed = Feed()
        for _ in range(100):
            for _ in range(7):
                await link.put(feed.frame())
            for _ in range(7):
                await link.get()
        return link

    assert run_virtual(main()).statistics.trimmed_ms == 0


def test_a_trim_takes_no_more_than_was_never_needed() -> None:
    """20 ms stood there for a second; a frame of 200 ms at the front must not go for them."""

    async def main() -> Link:
        link = Link("a -> b", QueuePolicy(1000))
        feed = Feed()
        frames = [feed.frame(ms) for ms in (20, 200) * 4 + (100, 20, 200)]
        await link.put(frames[0])
        for waiting, following in pairwise(frames):
            await link.put(following)
            assert (await link.get()) is waiting
        return link

    seen = run_virtual(main()).snapshot()
    assert (seen.trimmed_ms, seen.depth_ms) == (0, 200)
