"""`mic`: a microphone, or any other input device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rtpipe import (
    AudioFrame,
    EnvironmentProblem,
    Event,
    NotConnected,
    Options,
    Source,
    StageContext,
    audio,
)
from rtpipe_plugins import portaudio
from rtpipe_plugins.own_thread import OwnThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

_HANGS_AFTER_S = 2.0
"""A device that gives nothing for so long will give nothing any more."""
_MOST_WAITING_MS = 2000
"""More waits only when something has held the loop, and then old audio is of no use."""


@dataclass(frozen=True, kw_only=True)
class MicOverran(Event):
    """Audio was lost between the device and the pipeline; `count` since the start."""

    type: str = "mic.overran"
    count: int


class MicOptions(Options):
    """An input device."""

    main: ClassVar[str | None] = "device"

    device: str = Field("default", coerce_numbers_to_str=True)
    """default, a name or a part of one, an index, or pulse:NAME; see `rtpipe devices`."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""
    channel: int | None = Field(None, ge=1)
    """Which of the device's channels, from 1; by default all of them, mixed."""
    block_ms: int = Field(20, ge=5, le=200)
    """How much the device hands over at once (ms)."""
    latency: Literal["low", "high"] = "low"
    """high, where low makes the sound crackle."""


class Mic(Source[MicOptions]):
    """What a microphone hears, s16 mono."""

    kind = "mic"
    publishes = (MicOverran,)

    @classmethod
    def has_clock(cls, options: MicOptions) -> bool:  # noqa: ARG003 - the same for all options
        """Return True."""
        return True

    @classmethod
    def claims(cls, options: MicOptions) -> str:
        """Return the device."""
        return f"device-in:{options.device}"

    def __init__(self, options: MicOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._thread = OwnThread(ctx.id)
        self._stream: Any = None
        self._closing = False
        self._overruns = 0
        most = _MOST_WAITING_MS // options.block_ms
        self._arrived: asyncio.Queue[_Block | None] = asyncio.Queue(most)

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

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield what is heard, one frame for each block.

        Raises:
            NotConnected: The device is gone or hangs.
        """
        rate = self.options.sample_rate
        while not self._arrived.empty():  # heard before anybody listened
            self._arrived.get_nowait()
        began_at: float | None = None
        pts = 0
        overruns = self._overruns
        while True:
            block = await self._next_block()
            if began_at is None:
                began_at = block.captured_at
            if self._overruns != overruns:
                overruns = self._overruns
                pts = max(pts, round((block.captured_at - began_at) * rate))
                self.ctx.publish(MicOverran(count=overruns))
            frame = audio.from_pcm(block.data, sample_rate=rate, pts=pts)
            audio.meta(frame).captured_at = block.captured_at
            yield frame
            pts += frame.samples

    async def _next_block(self) -> _Block:
        try:
            async with asyncio.timeout(_HANGS_AFTER_S):
                block = await self._arrived.get()
        except TimeoutError:
            raise NotConnected(f"{self._device} hangs: it gives no audio") from None
        if block is None:
            raise NotConnected(f"{self._device} is gone")
        return block

    def _open_stream(self) -> None:
        sounddevice = portaudio.load()
        options = self.options
        self._device = device = portaudio.find_device(sounddevice, options.device, "input")
        wanted = options.channel or 1
        if wanted > device.channels:
            raise EnvironmentProblem(f"{device} has no channel {wanted}, only {device.channels}")
        with portaudio.opening(sounddevice, device, "input", options.sample_rate):
            self._channels = self._fitting_channels(sounddevice, device)
            self._stream = sounddevice.RawInputStream(
                device=device.index,
                samplerate=options.sample_rate,
                channels=self._channels,
                dtype="int16",
                blocksize=options.sample_rate * options.block_ms // 1000,
                latency=options.latency,
                callback=self._heard,
                finished_callback=self._finished,
            )
            self._stream.start()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _fitting_channels(self, sounddevice: Any, device: portaudio.Device) -> int:
        """Return how many channels to open: one, mixed by the system, if the device allows it."""
        if self.options.channel is not None:
            return self.options.channel
        try:
            sounddevice.check_input_settings(
                device.index, channels=1, dtype="int16", samplerate=self.options.sample_rate
            )
        except sounddevice.PortAudioError:
            return device.channels
        return 1

    # -- in PortAudio's thread ---------------------------------------------------------------------

    def _heard(self, data: Any, samples: int, time: Any, status: Any) -> None:
        late_s = time.currentTime - time.inputBufferAdcTime
        if not 0 < late_s < 1:  # some drivers do not know it
            late_s = samples / self.options.sample_rate
        block = np.frombuffer(bytes(data), np.int16).reshape(samples, self._channels)
        self._loop.call_soon_threadsafe(
            self._take, block, self.ctx.now() - late_s, int(status.input_overflow)
        )

    def _finished(self) -> None:
        if not self._closing:
            self._loop.call_soon_threadsafe(self._put, None)

    # -- in the loop's thread ----------------------------------------------------------------------

    def _take(self, data: NDArray[np.int16], captured_at: float, overruns: int) -> None:
        self._overruns += overruns
        if self.options.channel is not None:
            mono = data[:, self.options.channel - 1]
        elif self._channels == 1:
            mono = data[:, 0]
        else:
            mono = np.rint(data.mean(axis=1)).astype(np.int16)
        self._put(_Block(mono, captured_at))

    def _put(self, block: _Block | None) -> None:
        if self._arrived.full():
            self._arrived.get_nowait()
            self._overruns += 1
        self._arrived.put_nowait(block)


@dataclass(frozen=True, slots=True)
class _Block:
    """Mono samples, shape (samples,), and the pipeline second of the first one."""

    data: NDArray[np.int16]
    captured_at: float
