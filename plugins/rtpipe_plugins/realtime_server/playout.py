"""The audio that a call still has to play, and the events that say when it does."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_plugins.realtime_server.conversation import Item
    from rtpipe_plugins.realtime_server.outputs import Outbox

FRAME = 960
"""Samples in a frame: 20 ms, mono, 48 kHz."""
_SAMPLES_PER_MS = 48


@dataclass(slots=True, eq=False)
class Segment:
    """One response's audio."""

    response_id: str
    item: Item | None
    """The item that is spoken, None outside the conversation."""
    started: bool = False
    """The first frame has been played."""
    ended: bool = False
    """Nothing more will be appended."""
    cleared: bool = False
    """The rest will not be played."""
    _chunks: deque[NDArray[np.int16]] = field(default_factory=deque)
    _waiting: int = 0
    _played: int = 0

    @property
    def waiting(self) -> int:
        """Samples not yet played."""
        return self._waiting

    @property
    def played_ms(self) -> int:
        """Milliseconds of this response that went to the sender."""
        return self._played // _SAMPLES_PER_MS

    def append(self, pcm: NDArray[np.int16]) -> None:
        """Add audio at the end."""
        if self.cleared or not len(pcm):
            return
        self._chunks.append(pcm)
        self._waiting += len(pcm)
        if self.item is not None:
            self.item.spoken_ms += len(pcm) // _SAMPLES_PER_MS

    def take_frame(self) -> NDArray[np.int16]:
        """Return the next 960 samples, the last ones filled up with silence."""
        frame = np.zeros(FRAME, np.int16)
        filled = 0
        while filled < FRAME and self._chunks:
            chunk = self._chunks.popleft()
            part = chunk[: FRAME - filled]
            frame[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) < len(chunk):
                self._chunks.appendleft(chunk[len(part) :])
        self._waiting -= filled
        self._played += filled
        return frame


class Playout:
    """Plays the segments of responses one after the other, a frame at each tick."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._segments: deque[Segment] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to be played."""
        return not self._segments

    def begin(self, response_id: str, item: Item | None) -> Segment:
        """Make room for a response's audio, behind what is there."""
        segment = Segment(response_id, item)
        self._segments.append(segment)
        return segment

    def frame(self) -> NDArray[np.int16]:
        """Return the next 20 ms; silence where there is nothing to play."""
        while self._segments:
            segment = self._segments[0]
            if segment.waiting >= FRAME or (segment.ended and segment.waiting):
                if not segment.started:
                    segment.started = True
                    self._emit("started", segment)
                return segment.take_frame()
            if not segment.ended:
                break  # its generation lags behind: wait
            self._segments.popleft()
            if segment.started:
                self._emit("stopped", segment)
        return np.zeros(FRAME, np.int16)

    def clear(self) -> list[Segment]:
        """Drop what has not been played and return the segments that lost something."""
        dropped = list(self._segments)
        self._segments.clear()
        for segment in dropped:
            segment.cleared = True
            if segment.started:
                self._emit("cleared", segment)
        return dropped

    def _emit(self, what: str, segment: Segment) -> None:
        self._outbox.emit(f"output_audio_buffer.{what}", response_id=segment.response_id)
