"""Listening to a stage: what it gives out, as one stream without end for each who listens.

One tap serves all who listen to a stage in the same form; it comes with the first and goes with the
last, and what it sees is given by reference: no frame and no timing changes.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol

from rtpipe import AudioFormat, Converter, audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import AudioFrame, Pipeline

Form = Literal["wav", "mp3"]

MOST_LISTENERS = 50
_MOST_WAITING_S = 10.0
"""Of sound for one who does not read; then the oldest goes."""
_BEHIND_S = 0.3
"""Silence is given out so late after the clock: what comes meanwhile is not pushed aside."""
_LONGEST_HOLE_S = 10.0
"""A jump in time beyond that is none: the stream goes on where it is."""
_LOOK_S = 0.1
_UNKNOWN = 0xFFFF_FFFF


class Encoder(Protocol):
    """Makes bytes of samples."""

    def head(self) -> bytes:
        """Return what a stream begins with."""
        ...

    def encode(self, data: bytes) -> bytes:
        """Return what becomes of interleaved s16 samples; perhaps nothing yet."""
        ...


class WavEncoder:
    """RIFF WAVE of a length that nobody knows yet: the sizes are as large as can be.

    Args:
        sample_rate: Hz.
        channels: How many.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._channels = channels

    def head(self) -> bytes:
        """Return the header."""
        width = 2 * self._channels
        form = struct.pack("<HHIIHH", 1, self._channels, self._rate, self._rate * width, width, 16)
        return (
            b"RIFF" + struct.pack("<I", _UNKNOWN) + b"WAVEfmt " + struct.pack("<I", len(form))
        ) + (form + b"data" + struct.pack("<I", _UNKNOWN))

    def encode(self, data: bytes) -> bytes:
        """Return the samples as they are."""
        return data


class Mp3Encoder:
    """MP3 at 96 kbit/s a channel, which the audio element of any browser plays as it comes.

    Args:
        sample_rate: Hz.
        channels: How many.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        import av

        layout = "mono" if channels == 1 else "stereo"
        self._format = AudioFormat(sample_rate, layout, "s16")
        self._codec = av.CodecContext.create("libmp3lame", "w")
        self._codec.sample_rate = min(sample_rate, 48_000)
        self._codec.layout = layout
        self._codec.format = "s16p"
        self._codec.bit_rate = 96_000 * channels
        self._resampler = av.AudioResampler("s16p", layout, self._codec.sample_rate, 1152)
        self._pts = 0
        self._channels = channels

    def head(self) -> bytes:
        """Return nothing: a decoder finds the next frame by itself."""
        return b""

    def encode(self, data: bytes) -> bytes:
        """Return the packets that are complete."""
        samples = len(data) // (2 * self._channels)
        frame = audio.from_bytes(data, samples, self._format, pts=self._pts)
        self._pts += samples
        packets = [
            bytes(packet)
            for piece in self._resampler.resample(frame)
            for packet in self._codec.encode(piece)
        ]
        return b"".join(packets)


class Listener:
    """One who listens; what waits for him, in order.

    Attributes:
        lost_s: How much went because he did not read (s).
    """

    def __init__(self) -> None:
        self._head = b""
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._waits_s = 0.0
        self._over = False
        self._news = asyncio.Event()
        self.lost_s = 0.0

    def begin(self, head: bytes) -> None:
        """Let what the stream begins with wait: that is never lost."""
        self._head = head
        self._news.set()

    def take(self, data: bytes, seconds: float) -> None:
        """Let encoded sound wait."""
        self._waiting.append((data, seconds))
        self._waits_s += seconds
        while self._waits_s > _MOST_WAITING_S and len(self._waiting) > 1:
            _, gone_s = self._waiting.popleft()
            self._waits_s -= gone_s
            self.lost_s += gone_s
        self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._news.set()

    async def next(self) -> bytes | None:
        """Return all that waits, as soon as anything does; None when nothing more comes."""
        while not self._waiting and not self._head:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        data = b"".join([self._head, *(data for data, _ in self._waiting)])
        self._head = b""
        self._waiting.clear()
        self._waits_s = 0.0
        return data


class Tap:
    """What one stage gives out, in one form, for all who want it so.

    The stream begins with the first frame that comes and is as long as the media time since:
    a hole in that time is silence, to the sample. While nothing comes there is silence too.

    Args:
        pipeline: The pipeline.
        stage: Whose output it is.
        form: See `Form`.
    """

    def __init__(self, pipeline: Pipeline, stage: str, form: Form) -> None:
        self._clock = pipeline.clock
        self._form = form
        self._converter: Converter | None = None
        self._encoder: Encoder | None = None
        self._rate = self._channels = 0
        self._begins_at = 0.0
        self._first_pts = self._given = 0  # samples
        self._listeners: list[Listener] = []
        self._end = pipeline.tap_output(stage, self._take)
        self._filling = asyncio.create_task(self._fill(), name=f"listening to {stage}")

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def join(self) -> Listener:
        """Return a new listener, who hears from now on."""
        listener = Listener()
        if self._encoder is not None:
            listener.begin(self._encoder.head())
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Let `listener` hear no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        listener.end()

    def close(self) -> None:
        """Let go of the stage, and end for all who listen."""
        self._end()
        self._filling.cancel()
        for listener in self._listeners:
            listener.end()

    def _take(self, frame: AudioFrame) -> None:
        if self._converter is None:
            self._begin(frame)
        assert self._converter is not None
        for piece in self._converter.process(frame):
            self._place(piece)

    def _begin(self, frame: AudioFrame) -> None:
        """Let the first frame say what rate and how many channels there are."""
        channels = min(frame.layout.nb_channels, 2) if self._form == "mp3" else None
        layout = {1: "mono", 2: "stereo"}.get(channels or 0, frame.layout.name)
        self._rate = frame.sample_rate
        self._channels = channels or frame.layout.nb_channels
        self._converter = Converter(AudioFormat(self._rate, layout, "s16"))
        encoder: Encoder
        if self._form == "wav":
            encoder = WavEncoder(self._rate, self._channels)
        else:
            encoder = Mp3Encoder(self._rate, self._channels)
        self._encoder = encoder
        self._first_pts, self._begins_at = frame.pts or 0, self._clock.now()
        for listener in self._listeners:
            listener.begin(encoder.head())

    def _place(self, frame: AudioFrame) -> None:
        """Give out a frame where its time is: behind as much silence as there is a hole."""
        pts = frame.pts or 0
        hole = pts - self._first_pts - self._given
        if abs(hole) > _LONGEST_HOLE_S * self._rate:  # no hole, but another clock
            self._first_pts = pts - self._given
            hole = 0
        if hole > 0:
            self._give(bytes(2 * self._channels * hole), hole)
        data = audio.pcm(frame)
        if hole < 0:  # silence had to stand in for it
            data = data[-hole:]
        if len(data):
            self._give(data.tobytes(), len(data))

    def _give(self, data: bytes, samples: int) -> None:
        assert self._encoder is not None
        self._given += samples
        encoded = self._encoder.encode(data)
        if encoded:
            for listener in self._listeners:
                listener.take(encoded, samples / self._rate)

    async def _fill(self) -> None:
        """Give out silence for what does not come, a little behind the clock."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._converter is None:
                continue
            elapsed_s = self._clock.now() - self._begins_at - _BEHIND_S
            missing = round(elapsed_s * self._rate) - self._given
            if missing > 0:
                self._give(bytes(2 * self._channels * missing), missing)


class Taps:
    """The taps of a pipeline, each for as long as somebody listens.

    Args:
        pipeline: Whose.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._taps: dict[tuple[str, Form], Tap] = {}

    @property
    def listeners(self) -> int:
        """How many listen, to whatever stage."""
        return sum(tap.listeners for tap in self._taps.values())

    def join(self, stage: str, form: Form) -> tuple[Listener, Callable[[], None]]:
        """Return who listens to `stage` from now on, and a function that ends it.

        Raises:
            StageError: There is no such stage.
        """
        key = (stage, form)
        tap = self._taps.get(key) or Tap(self._pipeline, stage, form)
        self._taps[key] = tap
        listener = tap.join()

        def leave() -> None:
            tap.leave(listener)
            if not tap.listeners and self._taps.get(key) is tap:
                del self._taps[key]
                tap.close()

        return listener, leave

    def close(self) -> None:
        """End all streams."""
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()
