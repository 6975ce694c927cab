"""Audio at the edge of a WebSocket: resampled to the rate of its messages, paced as speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import CANONICAL, AudioFormat, Converter, audio
from rtpipe_plugins.peers.realtime.transports.voices import ModelVoice, VisitorVoice
from rtpipe_webrtc.pace import SLOT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame
    from rtpipe_webrtc.pace import Pace

_SLOTS_PER_S = 50


class OutgoingAudio(VisitorVoice):
    """The visitor's audio as events want it; see `Outgoing`.

    Nothing before `attach`: the server may not know the format yet. Then silence where the inlet
    has nothing: a far end that gets no audio hears no end of speech.

    Args:
        clock: The pipeline's time.
        rate: Hz of the audio in messages.
    """

    def __init__(self, clock: Pace, rate: int) -> None:
        super().__init__(clock)
        self._stopped = False
        self._converter = Converter(AudioFormat(rate, "mono", "s16"))
        self._sent = 0

    def stop(self) -> None:
        """See `Outgoing.stop`."""
        self._stopped = True

    def chunks(self) -> Iterator[tuple[bytes, float]]:
        """Yield what is to be sent of the next 20 ms: s16 samples, and their length (ms).

        Raises:
            FormatError: What the inlet gives cannot be converted.
        """
        if self._stopped or self._inlet is None:
            return
        frame = self._pull()
        if frame is None:
            frame = audio.silence(SLOT_SAMPLES, pts=0)
        samples = audio.copy(frame)  # others may hold the frame, whose pts is not this stream's
        audio.stamp(samples, sample_rate=frame.sample_rate, pts=self._sent)
        self._sent += frame.samples
        for chunk in self._converter.process(samples):
            yield audio.pcm(chunk).tobytes(), audio.duration_ms(chunk)


class IncomingAudio(ModelVoice):
    """The model's audio as stages want it; see `Incoming`.

    Args:
        clock: The pipeline's time.
        rate: Hz of the audio in messages.
        log: The stage's.
    """

    def __init__(self, clock: Pace, rate: int, log: Logger) -> None:
        super().__init__(clock, log)
        self._rate = rate
        self._block = rate // _SLOTS_PER_S
        self._wanted = False
        self._first: int | None = None
        self._converter = Converter(CANONICAL)
        self._blocks = 0
        self.kept_s = 0.0
        """See `Incoming.kept_s`; here the order is kept by TCP, and nothing is waited for."""
        # The resampler's delay falls into this silence, so that every block makes one whole frame.
        self._converted(audio.silence(self._block, pts=0, sample_rate=rate))

    def begin(self) -> None:
        """See `Incoming.begin`."""
        self._wanted = True

    def reset(self) -> None:
        """See `Incoming.reset`."""
        self.received.flush()

    def take(self, slot: int, pcm: NDArray[np.int16]) -> None:
        """Take the 20 ms of audio that are handed out in `slot`, shape (rate / 50,)."""
        if not self._wanted:
            return
        if self._first is None:
            self._first = slot
        block = audio.from_pcm(pcm, sample_rate=self._rate, pts=self._blocks * self._block)
        for frame in self._converted(block):
            pts = (slot - self._first) * SLOT_SAMPLES
            self._hand_out(audio.stamp(frame, sample_rate=frame.sample_rate, pts=pts))

    def _converted(self, block: AudioFrame) -> list[AudioFrame]:
        self._blocks += 1
        return self._converter.process(block)
