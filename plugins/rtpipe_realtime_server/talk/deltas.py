"""The audio of responses as events, for a client that plays it itself (over WebSocket)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.media.wire import encode, rate_of
from rtpipe_realtime_server.talk.player import (
    FRAME,
    RATE,
    SAMPLES_PER_MS,
    MessageAudio,
    PlayedSound,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_realtime_server.talk.conversation import ConversationItem
    from rtpipe_realtime_server.talk.outputs import OutputList


class DeltaSound(MessageAudio):
    """One response's audio, sent as soon as it is generated."""

    def __init__(
        self,
        deltas: Deltas,
        places: dict[str, Any],
        item: ConversationItem | None,
        pcm: NDArray[np.int16],
        audio_format: dict[str, Any],
    ) -> None:
        super().__init__(item)
        self._deltas = deltas
        self._places = places
        self._format = audio_format
        rate = rate_of(audio_format)
        self._fewer = RATE // rate
        self._pcm = Resampler(RATE, rate).whole(pcm)

    def release(self, start: int, stop: int) -> None:
        """Send what is between two samples (at 48 kHz)."""
        piece = self._pcm[start // self._fewer : stop // self._fewer]
        if not len(piece):
            return
        self._deltas.send(encode(piece, self._format), self._places)
        self._deltas.playing += len(piece) * self._fewer
        if self.item is not None:
            self.item.spoken_ms += len(piece) * self._fewer // SAMPLES_PER_MS


class Deltas:
    """Sends audio in events; what the client has played by now it can only suppose."""

    def __init__(self, outbox: OutputList) -> None:
        self._outbox = outbox
        self.playing = 0
        """Samples (at 48 kHz) that a client still has to play that played at once."""

    @property
    def idle(self) -> bool:
        """Whether the client should have played everything."""
        return self.playing <= 0

    def begin(
        self,
        places: dict[str, Any],
        item: ConversationItem | None,
        pcm: NDArray[np.int16],
        audio_format: dict[str, Any],
    ) -> DeltaSound:
        """Take a response's audio (mono, 48 kHz), to be released piece by piece."""
        return DeltaSound(self, places, item, pcm, audio_format)

    def send(self, delta: str, places: dict[str, Any]) -> None:
        """Send a piece."""
        self._outbox.emit("response.output_audio.delta", **places, delta=delta)

    def frame(self) -> NDArray[np.int16]:
        """Let 20 ms pass; what is played is silence."""
        self.playing = max(0, self.playing - FRAME)
        return np.zeros(FRAME, np.int16)

    def clear(self) -> list[PlayedSound]:
        """Suppose that the client stops playing; how far it came only the client can tell."""
        self.playing = 0
        return []
