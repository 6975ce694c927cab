"""Audio at the edge of the call: what leaves at an even pace, and what arrives put in its place.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtpipe import (
    CANONICAL,
    Converter,
    FormatError,
    Link,
    LinkClosed,
    QueuePolicy,
    WhenFull,
    audio,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from numpy.typing import NDArray

    from rtpipe import AudioFrame

RATE = 48_000
SLOT_SAMPLES = 960
SLOT_S = SLOT_SAMPLES / RATE
_LATE_SLOTS = 10
_AUDIBLE_OUT = 100  # of 32767: -50 dBFS, below which no voice detector listens
_AUDIBLE_IN = 33  # -60 dBFS
_OUT_OF_STEP = RATE // 2
_RECEIVED = QueuePolicy(max_ms=1000.0, when_full=WhenFull.DROP_OLDEST, trim=False)


class Pace(Protocol):
    """The clock that frames are paced by; `rtpipe.Clock` is one."""

    def now(self) -> float:
        """Return seconds."""
        ...

    async def sleep_until(self, at: float) -> None:
        """Wait until second `at`."""
        ...


class Slots:
    """Hands out 20 ms slots of a clock, each once, none early.

    A slot that is more than 200 ms late is skipped together with those up to now: the far end gets
    a jump in time instead of a burst, which it would have to buffer for ever.
    """

    def __init__(self, clock: Pace) -> None:
        self._clock = clock
        self._start: float | None = None
        self._next = 0

    async def next(self) -> int:
        """Wait for the next slot and return its number."""
        if self._start is None:
            self._start = self._clock.now()
        now = int((self._clock.now() - self._start) / SLOT_S)
        if now - self._next > _LATE_SLOTS:
            self._next = now
        slot = self._next
        self._next += 1
        await self._clock.sleep_until(self._start + slot * SLOT_S)
        return slot


class OutgoingTrack(MediaStreamTrack):
    """The visitor's audio as aiortc wants it: 20 ms, s16, stereo, 48 kHz, and never a pause.

    Silence where the inlet has nothing: a far end that gets no frames hears no end of speech.

    Args:
        clock: Paces the track.
        on_failure: Called with what went wrong; aiortc would only log it and fall silent.
    """

    kind = "audio"

    def __init__(self, clock: Pace, on_failure: Callable[[Exception], None]) -> None:
        super().__init__()
        self._clock = clock
        self._slots = Slots(clock)
        self._on_failure = on_failure
        self._inlet: Link | None = None
        self.inlet_ended = False
        """Whether all of the inlet has been sent."""
        self.audible_at = clock.now()
        """When something audible was last sent."""

    def attach(self, inlet: Link) -> None:
        """Send what comes out of `inlet` from now on."""
        self._inlet = inlet

    async def recv(self) -> AudioFrame:
        """Return the frame of the next slot; aiortc sends as fast as this returns."""
        if self.readyState != "live":
            raise MediaStreamError
        pts = await self._slots.next() * SLOT_SAMPLES
        try:
            return self._frame(pts)
        except Exception as error:  # whatever it is, here it would end as one line in aiortc's log
            self._on_failure(error)
            raise MediaStreamError from error

    def _frame(self, pts: int) -> AudioFrame:
        heard = self._pull()
        if heard is None:
            return audio.silence(SLOT_SAMPLES, pts=pts, layout="stereo")
        if heard.samples != SLOT_SAMPLES or not CANONICAL.admits(heard):
            raise FormatError(f"the call needs frames of {SLOT_SAMPLES} samples, {CANONICAL}")
        mono = audio.pcm(heard)
        if _peak(mono) >= _AUDIBLE_OUT:
            self.audible_at = self._clock.now()
        stereo = np.repeat(mono, 2, axis=1)  # aiortc's own way from mono to stereo loses 3 dB
        return audio.from_pcm(stereo, sample_rate=RATE, pts=pts)

    def _pull(self) -> AudioFrame | None:
        if self._inlet is None or self.inlet_ended:
            return None
        try:
            return self._inlet.get_nowait()
        except LinkClosed:
            self.inlet_ended = True
            return None


class Timeline:
    """Puts the far end's frames on a sample clock of ours.

    The far end's clock is believed: a lost frame is a hole of its length. Only where it has stood
    still while ours went on (a server that sends nothing between answers) ours is right, and the
    difference becomes a hole too, so that what is recorded stays in step with the other voice.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._next = 0

    def place(self, remote: int, samples: int, arrived: int) -> int:
        """Return the pts of a frame.

        Args:
            remote: Its pts at the far end.
            samples: Its length.
            arrived: Our time, in samples since our stream began.
        """
        if self._offset is None or arrived - (remote + self._offset) > _OUT_OF_STEP:
            self._offset = arrived - remote
        expected = remote + self._offset
        if expected - self._next > _OUT_OF_STEP and expected - arrived > _OUT_OF_STEP:
            self._offset = self._next - remote  # its clock has leapt into our future
            expected = self._next
        pts = max(expected, self._next)
        self._next = pts + samples
        return pts


class IncomingAudio:
    """The model's audio: always taken from aiortc, whose own queue has no bounds.

    `received` holds at most a second of it for `forward`; older audio is dropped, which is logged.
    """

    def __init__(self, clock: Pace, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._start: float | None = None
        self._timeline = Timeline()
        self._converter = Converter(CANONICAL)
        self.received = Link("call -> realtime", _RECEIVED, on_drop=self._dropped)
        self.audible_at = clock.now()
        """When something audible last arrived."""

    def begin(self) -> None:
        """Keep what arrives from now on; the stream's time begins here."""
        self._start = self._clock.now()

    def reset(self) -> None:
        """Forget what has arrived and was not taken."""
        self.received.flush()

    async def pump(self, track: MediaStreamTrack) -> None:
        """Take frames from `track` until it ends."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                break
            self.take(frame)  # type: ignore[arg-type]  # an audio track's frames
        self.received.close()

    def take(self, frame: AudioFrame) -> None:
        """Take one frame of the far end's."""
        if self._start is None or frame.pts is None:
            return
        now = self._clock.now()
        rate = frame.sample_rate
        pts = self._timeline.place(frame.pts, frame.samples, round((now - self._start) * rate))
        for ours in self._converter.process(audio.stamp(frame, sample_rate=rate, pts=pts)):
            audio.meta(ours).captured_at = now
            if _peak(audio.pcm(ours)) >= _AUDIBLE_IN:
                self.audible_at = now
            self.received.offer(ours)

    def _dropped(self, _: float) -> None:
        if self.received.statistics.frames_dropped == 1:
            self._log.warning(
                "what follows the call is too slow: the model's audio is being dropped"
            )


def _peak(pcm: NDArray[np.int16]) -> int:
    return max(int(pcm.max()), -int(pcm.min()))
