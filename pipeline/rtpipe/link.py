"""Links: the bounded queues that carry audio between tasks.

A link is measured in milliseconds of audio, not in frames. It carries `av.AudioFrame`s and nothing
else: the end of the stream closes it, a flush is a method, and facts go on the bus.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from rtpipe.audio import duration_ms
from rtpipe.errors import StageError
from rtpipe.fiber import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from rtpipe.audio import AudioFrame

_TRIM_WINDOW_MS = 1000.0


class WhenFull(StrEnum):
    """What a link does with a frame it has no room for."""

    BLOCK = "block"
    """The feeder waits: nothing is lost, and everything before this link slows down."""
    DROP_OLDEST = "drop_oldest"
    """The oldest audio goes: what comes out is always fresh. The live default."""
    DROP_NEWEST = "drop_newest"
    """The new frame goes: what was heard first is kept, and the link stays late."""
    FAIL = "fail"
    """The feeder fails: for pipelines in which a loss must not pass unseen."""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How much audio a link holds and what happens beyond that.

    Attributes:
        max_ms: Milliseconds of audio; one frame always fits into an empty link.
        when_full: See `WhenFull`.
        trim: Drop, each second, the depth that was never needed in that second. Without it a live
            queue that once filled stays full, and late, for ever.
    """

    max_ms: float = 80.0
    when_full: WhenFull = WhenFull.DROP_OLDEST
    trim: bool = True


LIVE = QueuePolicy()
"""Fed by something that does not wait: a microphone, a camera, a call."""

PATIENT = QueuePolicy(max_ms=1000.0, when_full=WhenFull.BLOCK, trim=False)
"""Fed by something that can wait: a file."""

PACED = QueuePolicy(max_ms=200.0, when_full=WhenFull.BLOCK, trim=False)
"""Fed by what can wait, read at real-time speed: what stands before it acts this much early."""


@dataclass(slots=True)
class LinkStatistics:
    """What a link has seen; every frame that was offered to it is in here.

    `frames_in` is the sum of `frames_out`, `frames_dropped`, `frames_trimmed`, `frames_flushed`
    and `frames_waiting`; what was offered and did not come in is `frames_refused`.

    Attributes:
        frames_in: Frames that came in.
        frames_out: Frames that the reader took.
        frames_dropped: Frames lost because it was full.
        frames_trimmed: Frames lost because they stood here and made a live stream late.
        frames_flushed: Frames lost to a flush, or to a reader that will read no more.
        frames_refused: Frames that came when it was closed, or full where that is a failure, or
            whose feeder was cancelled while it waited for room.
        frames_waiting: Frames that wait now; at the end, those that a stop cut off.
        dropped_ms: As `frames_dropped`, in milliseconds of audio; so are the others.
        trimmed_ms: See above.
        flushed_ms: See above.
        refused_ms: See above.
        depth_ms: Of `frames_waiting`.
        max_depth_ms: The largest depth.
    """

    frames_in: int = 0
    frames_out: int = 0
    frames_dropped: int = 0
    frames_trimmed: int = 0
    frames_flushed: int = 0
    frames_refused: int = 0
    frames_waiting: int = 0
    dropped_ms: float = 0.0
    trimmed_ms: float = 0.0
    flushed_ms: float = 0.0
    refused_ms: float = 0.0
    depth_ms: float = 0.0
    max_depth_ms: float = 0.0


class LinkClosed(Exception):  # noqa: N818 - control flow: the stream ended
    """The stream ended and every frame of it was read."""


class Link:
    """One media edge that ends at a task: the inlet of a sink, a peer or a queued transform.

    One feeder, one reader. The feeder calls `put` and at the end `close`; the reader iterates, or
    calls `get` until `LinkClosed`. Cancelling either side loses no frame that is still queued.

    Args:
        name: `feeder -> reader`, for statistics and errors.
        policy: Depth and overflow.
        on_drop: Called with the milliseconds lost whenever a full link drops.

    Attributes:
        statistics: What has become of every frame; `snapshot` adds what waits now.
        hand_over: Lets the reader take what was enqueued: at once, if that is what it waits for.
    """

    __slots__ = (
        "_closed",
        "_depth_ms",
        "_emptied",
        "_filled",
        "_on_drop",
        "_queue",
        "_window_least_ms",
        "_window_ms",
        "hand_over",
        "name",
        "policy",
        "statistics",
    )

    def __init__(
        self,
        name: str,
        policy: QueuePolicy = LIVE,
        *,
        on_drop: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self.policy = policy
        self.statistics = LinkStatistics()
        self._queue: deque[tuple[AudioFrame, float]] = deque()  # each with its milliseconds
        self._depth_ms = 0.0
        self._filled = Gate()
        self.hand_over = self._filled.open
        self._emptied = Gate()
        self._on_drop = on_drop
        self._closed = False
        self._window_ms = 0.0
        self._window_least_ms = policy.max_ms

    @property
    def depth_ms(self) -> float:
        """Milliseconds of audio that wait to be read."""
        return self._depth_ms

    @property
    def closed(self) -> bool:
        """Whether the feeder said that no more will come."""
        return self._closed

    def adopt(self, policy: QueuePolicy) -> None:
        """Go on by `policy`, with what is queued: another stage feeds this link, or reads it."""
        if policy == self.policy:
            return
        self.policy = policy
        self._window_ms = 0.0
        self._window_least_ms = policy.max_ms
        self._emptied.open_soon()

    def enqueue(self, frame: AudioFrame) -> bool:
        """Take `frame` without waiting; the reader does not see it before `hand_over`.

        Returns:
            False only where the policy is `block` and there is no room: then await `put`.

        Raises:
            StageError: The policy is `fail` and there is no room.
        """
        if self._closed:
            self.refuse(frame)
            return True  # the reader is gone: there is nobody to be late for
        statistics = self.statistics
        if self._depth_ms >= self.policy.max_ms:
            match self.policy.when_full:
                case WhenFull.BLOCK:
                    return False
                case WhenFull.DROP_OLDEST:
                    while self._depth_ms >= self.policy.max_ms:
                        self._drop(self._pop()[1])
                case WhenFull.DROP_NEWEST:
                    statistics.frames_in += 1
                    self._drop(duration_ms(frame))
                    return True
                case WhenFull.FAIL:
                    self.refuse(frame)
                    raise StageError(
                        f"{self.name} is full: {self.depth_ms:.0f} ms of audio wait",
                        help="give it a larger `queue: {max_ms: …}` or another `when_full`",
                    )
        length_ms = duration_ms(frame)
        self._queue.append((frame, length_ms))
        self._depth_ms += length_ms
        statistics.frames_in += 1
        statistics.max_depth_ms = max(statistics.max_depth_ms, self._depth_ms)
        return True

    def insist(self, frame: AudioFrame) -> None:
        """Take `frame` though the link is full; the reader sees it soon."""
        policy = self.policy
        self.policy = replace(policy, max_ms=float("inf"))
        self.enqueue(frame)
        self.policy = policy
        self._filled.open_soon()

    def offer(self, frame: AudioFrame) -> bool:
        """Take `frame` without waiting, and hand it over; as `enqueue`."""
        taken = self.enqueue(frame)
        self.hand_over()
        return taken

    async def put(self, frame: AudioFrame) -> None:
        """Take `frame`, waiting for room where the policy is `block`."""
        while not self.offer(frame):
            try:
                await self.room()
            except asyncio.CancelledError:
                self.refuse(frame)
                raise

    def room(self) -> Gate:
        """Return what opens when there may be room."""
        return self._emptied

    def refuse(self, frame: AudioFrame) -> None:
        """Count a frame that was for this link and will not come in."""
        self.statistics.frames_refused += 1
        self.statistics.refused_ms += duration_ms(frame)

    def close(self) -> None:
        """Say that no more frames will come; the reader gets what is queued and then the end."""
        if not self._closed:
            self._closed = True
            self._filled.open_soon()
            self._emptied.open_soon()

    def abandon(self) -> None:
        """Say that nobody will read any more; a feeder that waits for room is let go."""
        self.close()
        self.flush()

    async def get(self) -> AudioFrame:
        """Return the next frame.

        Raises:
            LinkClosed: The stream ended.
        """
        while not self._queue:
            if self._closed:
                raise LinkClosed(self.name)
            await self._filled
        return self._take()

    def get_nowait(self) -> AudioFrame | None:
        """Return the next frame, or None when none waits.

        Raises:
            LinkClosed: The stream ended.
        """
        if self._queue:
            return self._take()
        if self._closed:
            raise LinkClosed(self.name)
        return None

    def flush(self) -> float:
        """Drop what is queued; returns the milliseconds dropped."""
        frames, flushed = self._discard(self.depth_ms)
        self.statistics.frames_flushed += frames
        self.statistics.flushed_ms += flushed
        return flushed

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[AudioFrame]:
        return self  # awaiting it gives the next frame, without a coroutine for each

    def __await__(self) -> Generator[Any, None, AudioFrame]:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            yield self._filled.turn()
        return self._take()

    def _take(self) -> AudioFrame:
        frame, length_ms = self._pop()
        self.statistics.frames_out += 1
        if self.policy.trim:
            self._trim(length_ms)
        return frame

    def _pop(self) -> tuple[AudioFrame, float]:
        item = self._queue.popleft()
        # Sums of floats drift; an empty queue is empty.
        self._depth_ms = self._depth_ms - item[1] if self._queue else 0.0
        self._emptied.open_soon()
        return item

    def _trim(self, taken_ms: float) -> None:
        """Drop the windowed minimum: audio that stood here for a second and was never needed."""
        self._window_ms += taken_ms
        self._window_least_ms = min(self._window_least_ms, self._depth_ms)
        if self._window_ms >= _TRIM_WINDOW_MS:
            if self._window_least_ms > 0:
                frames, trimmed = self._discard(self._window_least_ms)
                self.statistics.frames_trimmed += frames
                self.statistics.trimmed_ms += trimmed
            self._window_ms = 0.0
            self._window_least_ms = self._depth_ms

    def _discard(self, at_most_ms: float) -> tuple[int, float]:
        """Take whole frames from the front, up to `at_most_ms`; returns how many, and their ms."""
        frames, discarded = 0, 0.0
        while self._queue:
            length_ms = self._queue[0][1]
            if discarded + length_ms > at_most_ms + 1e-6:
                break
            self._pop()
            frames, discarded = frames + 1, discarded + length_ms
        return frames, discarded

    def _drop(self, lost_ms: float) -> None:
        self.statistics.frames_dropped += 1
        self.statistics.dropped_ms += lost_ms
        if self._on_drop is not None:
            self._on_drop(lost_ms)

    def snapshot(self) -> LinkStatistics:
        """Return the statistics with the present depth."""
        self.statistics.frames_waiting = len(self._queue)
        self.statistics.depth_ms = self._depth_ms
        return self.statistics
