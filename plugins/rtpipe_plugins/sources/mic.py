"""`mic`: a microphone, or any other input device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from rtpipe import EnvironmentProblem, Event, Importance, Source, StageContext, audio
from rtpipe_plugins.sound.drift import SHORTENED, DriftControl, DriftMeasured, in_words
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.soundcard.device_watch import (
    DEVICE_EVENTS,
    DeviceOptions,
    DeviceWatch,
    OnLost,
)
from rtpipe_plugins.soundcard.pulse_capture import PulseCapture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Finding, MachineLook

_MOST_WAITING_MS = 2000
"""More waits only when something has held the loop, and then old audio is of no use."""
_STEPS_ASIDE_S = 0.006
"""How far the device's clock may be from the pipeline's before its audio is brought to fit."""
_TELL_DRIFT_S = 60.0
_TELL_OVERRUNS_S = 1.0
"""A device that overruns does so with every block."""
_OVERLAP_S = 0.01
"""How much of a block may have been given out as silence before; the jitter of its time."""
_SERVERS = {"default", "pulse", "pipewire"}
"""ALSA's names for the source that the sound server prefers."""


@dataclass(frozen=True, kw_only=True)
class MicOverran(Event):
    """Audio was lost between the device and the pipeline; `count` since the start.

    Told at once, then once a second.
    """

    importance = Importance.WARNING
    type: str = "mic.overran"
    count: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"lost audio between the device and the pipeline, {self.count} times so far"


class MicOptions(DeviceOptions):
    """An input device."""

    channel: int | None = Field(None, ge=1)
    """Which of the device's own channels, from 1; by default all of them, mixed."""
    block_ms: int = Field(20, ge=5, le=200)
    """How much the device hands over at once (ms)."""
    latency: Literal["low", "high"] = "low"
    """high, where low makes the sound crackle."""
    on_lost: OnLost = "wait"
    """What to do when the device is gone: wait for it in silence, let the `fallback:` take over, or
    fail."""


class Mic(Source[MicOptions]):
    """What a microphone hears, s16 mono.

    While its device is gone the stream goes on as silence. Where the device's clock does not run as
    the pipeline's does, its audio is shortened or lengthened by as little, unheard.

    - mic: {device: USB}
      fallback: {file: {path: visitor.wav, realtime: true}}
    """

    kind = "mic"
    publishes = (MicOverran, *DEVICE_EVENTS, DriftMeasured)

    @classmethod
    def has_clock(cls, options: MicOptions) -> bool:  # noqa: ARG003 - the same for all options
        """Return True."""
        return True

    @classmethod
    def claims(cls, options: MicOptions) -> str:
        """Return the device."""
        return f"device-in:{options.device}"

    @classmethod
    def examine(cls, options: MicOptions) -> tuple[MachineLook]:
        """Look whether there is such a device."""
        from rtpipe_plugins.soundcard.probing import device_look

        return (device_look(options, "input"),)

    @classmethod
    def probe(cls, options: MicOptions) -> AsyncIterator[Finding]:
        """Look for PortAudio, the device and its sample rate."""
        from rtpipe_plugins.soundcard.probing import probe_device

        return probe_device(options, "input")

    def __init__(self, options: MicOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._watch = DeviceWatch(
            ctx,
            "input",
            options.on_lost,
            open_stream=self._open_stream,
            changed=self._changed,
        )
        self._timeline = _Timeline(options.sample_rate)
        self._overruns = 0
        self._silenced = False
        most = _MOST_WAITING_MS // options.block_ms
        self._arrived: asyncio.Queue[_Block | None] = asyncio.Queue(most)

    async def open(self) -> None:
        """Open the device and start it.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        self._loop = asyncio.get_running_loop()
        await self._watch.start()

    async def close(self) -> None:
        """Let go of the device."""
        await self._watch.end()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield what is heard, one frame for each block, and silence while the device is gone.

        Raises:
            EnvironmentProblem: The device is gone and `on_lost` is fallback.
            StageError: The device is gone and `on_lost` is fail.
        """
        self._forget_arrived()  # heard before anybody listened
        timeline = self._timeline = _Timeline(self.options.sample_rate)
        overruns = told = self._overruns
        tell_overruns_at = self.ctx.now()
        tell_at = self.ctx.now() + _TELL_DRIFT_S
        while True:
            if self._watch.away:
                yield await self._silence(timeline)
                continue
            block = await self._arrived.get()
            if block is None:
                continue
            if self._silenced and block.captured_at < timeline.end_s - _OVERLAP_S:
                continue  # its time was given out as silence
            if self._overruns != overruns or self._silenced:
                timeline.jump_to(block.captured_at)
                overruns = self._overruns
            if overruns != told and self.ctx.now() >= tell_overruns_at:
                told, tell_overruns_at = overruns, self.ctx.now() + _TELL_OVERRUNS_S
                self.ctx.publish(MicOverran(count=told))
            self._silenced = False
            yield timeline.frame(block)
            if self.ctx.now() >= tell_at and timeline.drift.ppm is not None:
                tell_at = self.ctx.now() + _TELL_DRIFT_S
                self.ctx.publish(DriftMeasured(ppm=round(timeline.drift.ppm, 1)))

    def gauge(self) -> str:
        """Return how much faster the device's clock runs than the pipeline's."""
        return in_words(self._timeline.drift.ppm)

    async def _silence(self, timeline: _Timeline) -> AudioFrame:
        """Return the next frame of silence when its time has passed."""
        samples = self.options.sample_rate * self.options.block_ms // 1000
        if not self._silenced:
            self._silenced = True
            timeline.jump_to(self.ctx.now() - self.options.block_ms / 1000)
        await self.ctx.clock.sleep_until(timeline.end_s + samples / self.options.sample_rate)
        return timeline.silence(samples)

    def _changed(self) -> None:
        """Begin or end the silence; what is of before is of no use after."""
        self._forget_arrived()
        self._put(None)

    def _forget_arrived(self) -> None:
        while not self._arrived.empty():
            self._arrived.get_nowait()

    def _open_stream(self, finished: Callable[[], None]) -> tuple[portaudio.Device, Any]:
        sounddevice = portaudio.load()
        options = self.options
        device = portaudio.find_device(sounddevice, options.device, "input")
        if options.channel is not None and device.name in _SERVERS and device.pulse is None:
            # By ALSA the server would remix what has another channel map.
            device = portaudio.by_pulse(device, "@DEFAULT_SOURCE@", "input")
        wanted = options.channel or 1
        if wanted > device.channels:
            raise EnvironmentProblem(f"{device} has no channel {wanted}, only {device.channels}")
        if device.pulse_device is not None:
            stream = PulseCapture(
                device.pulse_device,
                sample_rate=options.sample_rate,
                block_ms=options.block_ms,
                own_channels=options.channel is not None,
                latency=options.latency,
                callback=self._heard,
                finished_callback=finished,
            )
            self._channels = stream.channels
            return device, stream
        # One, mixed by the system, if the device allows it.
        self._channels = options.channel or portaudio.fitting_channels(
            sounddevice, device, "input", options.sample_rate
        )
        return device, portaudio.open_stream(
            sounddevice,
            device,
            "input",
            sample_rate=options.sample_rate,
            block_ms=options.block_ms,
            channels=self._channels,
            latency=options.latency,
            callback=self._heard,
            finished_callback=finished,
        )

    # -- in PortAudio's thread ---------------------------------------------------------------------

    def _heard(self, data: Any, samples: int, time: Any, status: Any) -> None:
        import numpy as np

        self._watch.beat()
        late_s = time.currentTime - time.inputBufferAdcTime
        if not 0 < late_s < 1:  # some drivers do not know it
            late_s = samples / self.options.sample_rate
        block = np.frombuffer(bytes(data), np.int16).reshape(samples, self._channels)
        self._loop.call_soon_threadsafe(
            self._take, block, self.ctx.now() - late_s, int(status.input_overflow)
        )

    # -- in the loop's thread ----------------------------------------------------------------------

    def _take(self, data: NDArray[np.int16], captured_at: float, overruns: int) -> None:
        import numpy as np

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


class _Timeline:
    """Puts blocks on the pipeline's time: pts that rise and stay with its clock.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        from rtpipe_plugins.sound.stretcher import Stretcher

        self._rate = sample_rate
        self._pts = 0
        self._began_at: float | None = None
        self._stretcher = Stretcher(1)
        self.drift = DriftControl(tolerance_s=_STEPS_ASIDE_S)

    @property
    def end_s(self) -> float:
        """The pipeline second at which the last frame ended."""
        return (self._began_at or 0.0) + self._pts / self._rate

    def jump_to(self, at: float) -> None:
        """Leave a hole up to pipeline second `at`, unless that has been given out already."""
        if self._began_at is None:
            self._began_at = at
        self._pts = max(self._pts, round((at - self._began_at) * self._rate))
        self.drift.jumped()

    def frame(self, block: _Block) -> AudioFrame:
        """Return the frame for `block`, to follow the one before."""
        if self._began_at is None:
            self._began_at = block.captured_at
        length_s = len(block.data) / self._rate
        ahead_s = self.end_s - block.captured_at
        shorten = self.drift.update(ahead_s, length_s)
        data = self._stretcher.stretch(block.data[:, None], shorten)
        frame = audio.from_pcm(data[:, 0], sample_rate=self._rate, pts=self._pts)
        meta = audio.meta(frame)
        meta.captured_at = block.captured_at
        if shorten:
            meta.extra[SHORTENED] = shorten
        self._pts += frame.samples
        return frame

    def silence(self, samples: int) -> AudioFrame:
        """Return the next frame, silent."""
        frame = audio.silence(samples, pts=self._pts, sample_rate=self._rate)
        audio.meta(frame).captured_at = self.end_s
        self._pts += samples
        return frame
