"""The audio that a call still has to play, and the events that say when it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe_realtime_server.session.ids import MEDIA_EVENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_realtime_server.talk.conversation import ConversationItem
    from rtpipe_realtime_server.talk.outputs import OutputList

RATE = 48000
FRAME = 960
"""Samples in a frame: 20 ms, mono, 48 kHz."""
TICK_S = FRAME / RATE
SAMPLES_PER_MS = 48


class MessageAudio(ABC):
    """One message's audio, released as it is generated.

    Args:
        item: The item that is spoken, None outside the conversation.
    """

    def __init__(self, item: ConversationItem | None) -> None:
        self.item = item
        self.ended = False
        """Nothing more will be released."""
        self.cleared = False
        """The rest will not be played."""

    @abstractmethod
    def release(self, start: int, stop: int) -> None:
        """Let out what is between two samples (at 48 kHz)."""


class PlayedSound(MessageAudio):
    """A sound that the server plays."""

    def __init__(
        self, response_id: str, item: ConversationItem | None, pcm: NDArray[np.int16]
    ) -> None:
        super().__init__(item)
        self.response_id = response_id
        self.started = False
        """The first frame has been played."""
        self._pcm = pcm
        self._released = 0
        self._played = 0

    @property
    def waiting(self) -> int:
        """Samples released and not yet played."""
        return self._released - self._played

    @property
    def played_ms(self) -> int:
        """Milliseconds that went to the sender."""
        return self._played // SAMPLES_PER_MS

    def release(self, start: int, stop: int) -> None:
        """Let what is between two samples be played."""
        if self.cleared:
            return
        self._released = min(stop, len(self._pcm))
        if self.item is not None:
            self.item.spoken_ms += (self._released - start) // SAMPLES_PER_MS

    def take_frame(self) -> NDArray[np.int16]:
        """Return the next 960 samples, the last ones filled up with silence."""
        start, self._played = self._played, min(self._released, self._played + FRAME)
        frame = np.zeros(FRAME, np.int16)
        frame[: self._played - start] = self._pcm[start : self._played]
        return frame


class Player:
    """Plays the segments of responses one after the other, a frame at each tick."""

    def __init__(self, outbox: OutputList) -> None:
        self._outbox = outbox
        self._segments: deque[PlayedSound] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to be played."""
        return not self._segments

    def begin(
        self,
        places: dict[str, Any],
        item: ConversationItem | None,
        pcm: NDArray[np.int16],
        audio_format: dict[str, Any],
    ) -> PlayedSound:
        """Take a message's audio (mono, 48 kHz), to be played behind what is there."""
        del audio_format  # of events; what is played is Opus
        segment = PlayedSound(places["response_id"], item, pcm)
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

    def clear(self) -> list[PlayedSound]:
        """Drop what has not been played and return the segments that lost something."""
        dropped = list(self._segments)
        self._segments.clear()
        for segment in dropped:
            segment.cleared = True
            if segment.started:
                self._emit("cleared", segment)
        return dropped

    def _emit(self, what: str, segment: PlayedSound) -> None:
        self._outbox.emit(
            f"output_audio_buffer.{what}",
            event_id=self._outbox.new_id(MEDIA_EVENT),
            response_id=segment.response_id,
        )
