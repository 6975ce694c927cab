"""RTP audio at the edge of a call: paced as it leaves, through the jitter buffer as it comes.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from rtpipe import CANONICAL, Converter, FormatError, audio
from rtpipe_plugins.peers.realtime.transports.voices import ModelVoice, VisitorVoice
from rtpipe_webrtc.jitter_buffer import JitterBuffer
from rtpipe_webrtc.options import JitterOptions
from rtpipe_webrtc.opus import opus_decoder
from rtpipe_webrtc.pace import RATE, SLOT_SAMPLES, Pacing, Slots
from rtpipe_webrtc.playout import Playout

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from numpy.typing import NDArray

    from rtpipe import AudioFrame
    from rtpipe_webrtc.libopus import Encoder
    from rtpipe_webrtc.pace import Pace
    from rtpipe_webrtc.rtp_path import SendPath

_OUT_OF_STEP = RATE // 2
_ROUNDING = RATE // 1000
_TIME_BASE = Fraction(1, RATE)
_SILENCE: NDArray[np.int16] = np.zeros(SLOT_SAMPLES, np.int16)


class OutgoingTrack(VisitorVoice, MediaStreamTrack):
    """The visitor's audio as aiortc wants it: 20 ms at a time, and never a pause.

    Opus packets where we have an encoder, which aiortc sends as they are; otherwise frames, s16,
    stereo, 48 kHz, which it encodes. Silence where the inlet has nothing: a far end that gets no
    frames hears no end of speech.

    Args:
        clock: Paces the track.
        on_failure: Called with what went wrong; aiortc would only log it and fall silent.
    """

    kind = "audio"

    def __init__(self, clock: Pace, on_failure: Callable[[Exception], None]) -> None:
        MediaStreamTrack.__init__(self)
        VisitorVoice.__init__(self, clock)
        self._slots = Slots(clock)
        self._on_failure = on_failure
        self.encoder: Encoder | None = None
        """Makes the packets; None: aiortc encodes."""
        self.path: SendPath | None = None
        """Takes all packets but the first; None: aiortc sends each."""
        self._first: int | None = None  # the pts of the first packet
        self._pacing: Pacing[NDArray[np.int16]] | None = None

    async def recv(self) -> AudioFrame | Packet[Any]:
        """Return what the next slot holds; aiortc sends as fast as this returns.

        Where there is a path past aiortc, all that follows the first packet is sent by timer, and
        this returns no more.
        """
        encoder, path = self.encoder, self.path
        if encoder is not None and path is not None:
            if path.open:
                await self._paced(encoder, path)
            elif self._first is None and not path.learn():
                self.path = None
        pts = await self._slots.next() * SLOT_SAMPLES
        if self._first is None:
            self._first = pts
        mono = self._sound()
        if encoder is None:
            return _stereo(mono, pts)
        packet: Packet[Any] = Packet(self._encoded(encoder, mono))
        packet.pts = pts
        packet.time_base = _TIME_BASE
        return packet

    def nudge(self) -> None:
        """Send what waits for the next slot, if there is anything, since the process is awake.

        A slot is brought forward by its length at the most.
        """
        if self._pacing is not None and self.readyState == "live":
            self._pacing.nudge(self._heard)

    async def _paced(self, encoder: Encoder, path: SendPath) -> None:
        """Send until the track is stopped."""
        first = self._first or 0

        def send(slot: int, heard: NDArray[np.int16] | None) -> None:
            mono = self._sound() if heard is None else heard
            try:
                path.send(self._encoded(encoder, mono), slot * SLOT_SAMPLES - first)
            except RuntimeError as error:
                raise self._failed(error) from error

        self._pacing = Pacing(self._clock, self._slots, send)
        try:
            await self._pacing.run()
        finally:
            self._pacing = None

    def _sound(self) -> NDArray[np.int16]:
        """Return what the visitor says in this slot."""
        if self.readyState != "live":
            raise MediaStreamError  # what is in the inlet belongs to the next call
        heard = self._heard()
        return _SILENCE if heard is None else heard

    def _encoded(self, encoder: Encoder, mono: NDArray[np.int16]) -> bytes:
        try:
            return encoder.encode(mono)
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MediaStreamError:
        self._on_failure(error)
        return MediaStreamError()

    def _heard(self) -> NDArray[np.int16] | None:
        """Return what waits in the inlet."""
        try:
            frame = self._pull()
            return None if frame is None else _mono(frame)
        except Exception as error:  # whatever it is, here it would end as one line in aiortc's log
            raise self._failed(error) from error


def _mono(frame: AudioFrame) -> NDArray[np.int16]:
    if frame.samples != SLOT_SAMPLES or not CANONICAL.admits(frame):
        raise FormatError(f"the call needs frames of {SLOT_SAMPLES} samples, {CANONICAL}")
    mono: NDArray[np.int16] = audio.pcm(frame)[:, 0]
    return mono


def _stereo(mono: NDArray[np.int16], pts: int) -> AudioFrame:
    # aiortc's own way from mono to stereo loses 3 dB.
    return audio.from_pcm(np.repeat(mono[:, None], 2, axis=1), sample_rate=RATE, pts=pts)


class SampleClock:
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


class IncomingAudio(ModelVoice):
    """The model's audio, put in order by a jitter buffer of ours or, where need be, by aiortc's.

    Args:
        clock: The pipeline's time.
        log: The stage's.
        jitter: How the buffer is to be.
    """

    def __init__(self, clock: Pace, log: Logger, jitter: JitterOptions | None = None) -> None:
        super().__init__(clock, log)
        jitter = jitter or JitterOptions()
        target_ms = jitter.target_ms
        self._start: float | None = None
        self._next = 0
        self._timeline = SampleClock()
        self._converter = Converter(CANONICAL)
        self.buffer = JitterBuffer(
            target_s=None if target_ms is None else target_ms / 1000, max_s=jitter.max_ms / 1000
        )
        self.playout = Playout(clock, self.buffer, opus_decoder(), self._play)

    @property
    def kept_s(self) -> float:
        """See `Incoming.kept_s`."""
        return max(self.buffer.delay_s, 0.0)

    def begin(self) -> None:
        """Keep what is played from now on; the stream's time begins here."""
        self._start = self._clock.now()

    def reset(self) -> None:
        """Forget what has arrived and was not taken, played or not."""
        self.buffer.clear()
        self.received.flush()

    async def pump(self, track: MediaStreamTrack) -> None:
        """Play what comes of `track` until it ends."""
        playing = asyncio.create_task(self.playout.run())
        taking = asyncio.create_task(self._take_from(track))
        try:
            await asyncio.wait({playing, taking}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()  # before its end only a mistake of ours ends it
            self.playout.end()
            await asyncio.gather(playing, taking)
        finally:
            playing.cancel()
            taking.cancel()
        self.received.close()

    async def _take_from(self, track: MediaStreamTrack) -> None:
        """Take what aiortc gives, always: its own queue has no bounds."""
        with contextlib.suppress(MediaStreamError):
            while True:
                self.take(await track.recv())  # type: ignore[arg-type]  # an audio track's frames

    def take(self, frame: AudioFrame) -> None:
        """Take a frame that aiortc has put in order and decoded."""
        if self._start is None or frame.pts is None:
            return
        rate = frame.sample_rate
        now = round((self._clock.now() - self._start) * rate)
        pts = self._timeline.place(frame.pts, frame.samples, now)
        for ours in self._converter.process(audio.stamp(frame, sample_rate=rate, pts=pts)):
            self._hand_out(ours)

    def _play(self, pcm: NDArray[np.int16], at: float) -> None:
        """Take samples that are played at second `at`."""
        if self._start is None or at < self._start:
            return
        pts = round((at - self._start) * RATE)
        if pts - self._next < _ROUNDING:
            pts = self._next
        self._next = pts + len(pcm)
        self._hand_out(audio.from_pcm(pcm, sample_rate=RATE, pts=pts), at)
