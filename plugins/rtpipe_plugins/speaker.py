"""`speaker`: a loudspeaker, or any other output device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from rtpipe import (
    AudioFormat,
    AudioFrame,
    Event,
    NotConnected,
    Options,
    QueuePolicy,
    Sink,
    StageContext,
    audio,
)
from rtpipe_plugins import portaudio
from rtpipe_plugins.own_thread import OwnThread
from rtpipe_plugins.playback import Ledger, PlaybackBuffer, PlaybackStarted, PlaybackStopped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_BLOCK_MS = 10
_HANGS_AFTER_S = 2.0
"""A device that takes nothing for so long will take nothing any more."""
_AUDIBLE = 33
"""Peak of an s16 sample that somebody may hear: -60 dBFS."""

_NEXT_SOUND_S = 1.0
"""What comes so long after a sound is another sound."""


@dataclass(frozen=True, kw_only=True)
class SpeakerUnderran(Event):
    """The device ran out of audio in the middle of a sound; `count` since the start."""

    type: str = "speaker.underran"
    count: int


class SpeakerOptions(Options):
    """An output device."""

    main: ClassVar[str | None] = "device"

    device: str = Field("default", coerce_numbers_to_str=True)
    """default, a name or a part of one, an index, or pulse:NAME; see `rtpipe devices`."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""
    volume: float = Field(1.0, ge=0, le=4)
    """Factor: 0 is silence, 1 as it comes."""
    prebuffer_ms: int = Field(60, ge=10, le=2000)
    """How much waits for the device (ms): more bears more jitter, and is heard later."""
    fade_ms: int = Field(12, ge=0, le=200)
    """How fast a flush fades out (ms): without it, one hears a click."""


class Speaker(Sink[SpeakerOptions]):
    """Plays what it gets, at the pace of the device."""

    kind = "speaker"
    publishes = (PlaybackStarted, PlaybackStopped, SpeakerUnderran)
    # A stall of the machine must not cost a syllable; trimming takes the lag back.
    inlet_policy = QueuePolicy(max_ms=200)

    @classmethod
    def accepts_for(cls, options: SpeakerOptions) -> AudioFormat:
        """Return s16 at the device's rate, in any layout."""
        return AudioFormat(options.sample_rate, None, "s16")

    @classmethod
    def has_clock(cls, options: SpeakerOptions) -> bool:  # noqa: ARG003 - the same for all options
        """Return True."""
        return True

    @classmethod
    def claims(cls, options: SpeakerOptions) -> str:
        """Return the device."""
        return f"device-out:{options.device}"

    def __init__(self, options: SpeakerOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._thread = OwnThread(ctx.id)
        self._stream: Any = None
        self._closing = False
        self._gone = False
        self._moved = asyncio.Event()
        self._ledger = Ledger(options.sample_rate)
        self._gaps = self._underruns = 0
        self._in_mid_sound = False
        self._consumed_at = 0.0

    async def open(self) -> None:
        """Open the device and start it.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        self._loop = asyncio.get_running_loop()
        await self._thread.start(self._open_stream)

    async def close(self) -> None:
        """Let go of the device."""
        self._closing = True
        await self._thread.end(self._close_stream)
        self._publish(self._ledger.ended())

    async def consume(self, frame: AudioFrame) -> None:
        """Play `frame`; returns when the device has room for more.

        Raises:
            NotConnected: The device is gone or hangs.
        """
        data = _fitted(audio.pcm(frame), self._channels)
        if self.options.volume != 1.0:
            data = np.clip(np.rint(data * self.options.volume), -32768, 32767).astype(np.int16)
        audible = int(data.max()) >= _AUDIBLE or int(data.min()) <= -_AUDIBLE
        self._count_gap(audible=audible)
        self._ledger.pushed(frame, audible=audible)
        self._buffer.push(data)
        while self._buffer.held > self._most_held:
            await self._device_moved()

    def reset(self) -> None:
        """Stop what is being played, softly."""
        fade = self.options.sample_rate * self.options.fade_ms // 1000
        self._in_mid_sound = False
        self._ledger.cut(self._buffer.flush(fade))

    async def drain(self) -> None:
        """Return when the last sample has been heard."""
        self._buffer.end()
        while self._buffer.held:
            await self._device_moved()
        # The device has taken it, but not played it: silence after it pushes it through.
        await asyncio.sleep(self._stream.latency + 2 * _BLOCK_MS / 1000)

    def _count_gap(self, *, audible: bool) -> None:
        """Tell of an underrun if the device ran dry between two frames of one sound."""
        now, gaps = self.ctx.now(), self._buffer.gaps
        soon = now - self._consumed_at < _NEXT_SOUND_S
        if gaps != self._gaps and audible and self._in_mid_sound and soon:
            self._underruns += 1
            self.ctx.publish(SpeakerUnderran(count=self._underruns))
        self._gaps, self._in_mid_sound, self._consumed_at = gaps, audible, now

    async def _device_moved(self) -> None:
        """Return when the device has taken something."""
        if not self._gone:
            self._moved.clear()
            try:
                async with asyncio.timeout(_HANGS_AFTER_S):
                    await self._moved.wait()
            except TimeoutError:
                raise NotConnected(f"{self._device} hangs: it takes no audio") from None
        if self._gone:
            raise NotConnected(f"{self._device} is gone")

    def _open_stream(self) -> None:
        sounddevice = portaudio.load()
        options = self.options
        self._device = device = portaudio.find_device(sounddevice, options.device, "output")
        self._channels = min(2, device.channels)
        self._most_held = options.sample_rate * options.prebuffer_ms // 1000
        self._buffer = PlaybackBuffer(self._channels, self._most_held)
        with portaudio.opening(sounddevice, device, "output", options.sample_rate):
            self._stream = sounddevice.RawOutputStream(
                device=device.index,
                samplerate=options.sample_rate,
                channels=self._channels,
                dtype="int16",
                blocksize=options.sample_rate * _BLOCK_MS // 1000,
                latency="low",
                callback=self._fill,
                finished_callback=self._finished,
            )
            self._stream.start()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()

    # -- in PortAudio's thread ---------------------------------------------------------------------

    def _fill(self, out: Any, samples: int, time: Any, status: Any) -> None:  # noqa: ARG002 - PortAudio's signature
        taken = self._buffer.take(samples)
        out[: len(taken)] = taken
        out[len(taken) :] = bytes(len(out) - len(taken))
        if taken:
            self._loop.call_soon_threadsafe(self._follow)

    def _finished(self) -> None:
        if not self._closing:
            self._loop.call_soon_threadsafe(self._lose)

    # -- in the loop's thread ----------------------------------------------------------------------

    def _follow(self) -> None:
        """Tell what the device has played, and let more come."""
        self._moved.set()
        self._publish(self._ledger.played(self._buffer.taken))

    def _lose(self) -> None:
        self._gone = True
        self._moved.set()

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self.ctx.publish(event)


def _fitted(data: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """Return the samples with as many channels as the device has.

    Not by a converter: FFmpeg makes a mono voice 3 dB quieter when it becomes stereo.
    """
    if data.shape[1] == channels:
        return data
    if data.shape[1] > 1:
        data = np.rint(data.mean(axis=1, keepdims=True)).astype(np.int16)
    return np.repeat(data, channels, axis=1)
