"""A jitter buffer of decoded frames: evens out bursts, and keeps nothing waiting for longer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import AudioFrame

_WINDOW = 50
"""Frames, so one second: a depth that was not needed for so long is given up."""


class ArrivalBuffer:
    """Takes 20 ms frames as they come and gives them out one by one.

    A live stream that has once fallen behind, by the backlog that servers send at the start or by
    a pause of the network, would stay behind for ever. So the depth that was never needed within
    a second is dropped, but for a margin.

    Args:
        margin: How many frames wait before the first is given out, at the start and whenever
            nothing was left.
        limit: How many frames it holds; beyond that the oldest go.

    Attributes:
        dropped: How many frames came and were never given out.
    """

    def __init__(self, *, margin: int, limit: int) -> None:
        self.dropped = 0
        self._margin = margin
        self._limit = limit
        self._frames: deque[AudioFrame] = deque(maxlen=limit)
        self._gathering = True
        self._pulls = 0
        self._least = limit

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frames: Iterable[AudioFrame]) -> None:
        """Take frames that have arrived."""
        for frame in frames:
            self.dropped += len(self._frames) == self._limit
            self._frames.append(frame)

    def pull(self) -> AudioFrame | None:
        """Return the frame that is due, if there is one."""
        if not self._frames or (self._gathering and len(self._frames) < self._margin):
            self._gathering = True
            return None
        self._gathering = False
        frame = self._frames.popleft()
        self._least = min(self._least, len(self._frames))
        self._pulls += 1
        if self._pulls == _WINDOW:
            for _ in range(self._least - self._margin):
                self._frames.popleft()
                self.dropped += 1
            self._pulls = 0
            self._least = len(self._frames)
        return frame
