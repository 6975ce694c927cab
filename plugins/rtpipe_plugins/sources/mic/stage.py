"""`mic`: a microphone, or any other input device."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Event, Importance, Source, Specimen, StageContext, action, audio
from rtpipe_plugins.sound.drift import DriftMeasured, in_words
from rtpipe_plugins.sound.ramp import Fader
from rtpipe_plugins.soundcard.device_watch import DeviceWatch
from rtpipe_plugins.soundcard.events import DEVICE_EVENTS
from rtpipe_plugins.soundcard.muting import Muting, act_on
from rtpipe_plugins.sources.mic.capture import Capture
from rtpipe_plugins.sources.mic.options import MicOptions
from rtpipe_plugins.sources.mic.timeline import Block, Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from rtpipe import AudioFrame, Finding, MachineLook
    from rtpipe_plugins.soundcard.connection import Connection
    from rtpipe_plugins.soundcard.portaudio import Device

_MOST_WAITING_MS = 2000
"""More waits only when something has held the loop, and then old audio is of no use."""
_TELL_DRIFT_S = 60.0
_TELL_OVERRUNS_S = 1.0
"""A device that overruns does so with every block."""
_OVERLAP_S = 0.01
"""How much of a block may have been given out as silence before; the jitter of its time."""
_OVERLAPPING_MS = 200
"""What is kept of a device that is to follow: by more no two differ in how late they are."""
_FADE_MS = 5.0
"""Of muting: short, since who mutes wants to be unheard, but no click."""


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


@dataclass(frozen=True, kw_only=True)
class MicMuted(Event):
    """The microphone has been muted: from the next frame on the stage gives silence."""

    importance = Importance.NOTICE
    type: str = "mic.muted"

    def line(self) -> str:
        """See `Event.line`."""
        return "is muted"


@dataclass(frozen=True, kw_only=True)
class MicUnmuted(Event):
    """The microphone is no longer muted."""

    importance = Importance.NOTICE
    type: str = "mic.unmuted"

    def line(self) -> str:
        """See `Event.line`."""
        return "is no longer muted"


class Mic(Source[MicOptions]):
    """What a microphone hears, s16 mono.

    While its device is gone the stream goes on as silence. Where the device's clock does not run as
    the pipeline's does, its audio is shortened or lengthened by as little, unheard.

    - mic: {device: USB}
      fallback: {file: {path: visitor.wav, realtime: true}}
    """

    kind = "mic"
    external = True
    publishes = (MicOverran, MicMuted, MicUnmuted, *DEVICE_EVENTS, DriftMeasured)
    live = frozenset({"device", "mute"})

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield the default device, which it keeps open."""
        yield Specimen(real_time=True)

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
        self._watch: DeviceWatch[Capture] = DeviceWatch(
            ctx,
            "input",
            options.device,
            options.on_lost,
            open_stream=self._open_stream,
            changed=self._changed,
            switched=self._switched,
        )
        self._timeline = Timeline(options.sample_rate)
        self._muted = Muting(ctx, at_first=options.mute)
        self._fader = Fader(0.0 if self._muted else 1.0, _FADE_MS)
        self._overruns = self._told = 0
        self._tell_overruns_at = self._tell_drift_at = 0.0
        self._silenced = False
        most = _MOST_WAITING_MS // options.block_ms
        self._arrived: asyncio.Queue[Block | None] = asyncio.Queue(most)
        self._ahead: deque[Block] = deque(maxlen=_OVERLAPPING_MS // options.block_ms + 1)

    def change(self, options: MicOptions) -> None:
        """Be muted or not, or take another device, as the actions do."""
        before, self.options = self.options, options
        act_on(self, before, options)

    @action
    def mute(self) -> None:
        """Give silence from the next frame on; the device stays open."""
        self._set_muted(muted=True)

    @action
    def unmute(self) -> None:
        """Give again what is heard."""
        self._set_muted(muted=False)

    @action(outcome=["device.changed", "device.refused"])
    def use(self, device: str | int) -> str:
        """Take another device, named as in `device:`, while the audio goes on."""
        self._watch.use(str(device))
        return "accepted"

    @action
    def devices(self) -> list[dict[str, Any]]:
        """Return the devices for `use`, as they were last seen: device, name, used."""
        return self._watch.devices()

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        return self._muted.why_not(action)

    def _set_muted(self, *, muted: bool) -> None:
        if self._muted.set(muted=muted):
            self._fader.target = 0.0 if muted else 1.0
            self.ctx.publish(MicMuted() if muted else MicUnmuted())

    async def open(self) -> None:
        """Open the device and start it.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        self._loop = asyncio.get_running_loop()
        await self._watch.start()
        if self._muted:
            self.ctx.publish(MicMuted())

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
        timeline = self._timeline = Timeline(self.options.sample_rate)
        overruns = self._told = self._overruns
        self._tell_overruns_at = self.ctx.now()
        self._tell_drift_at = self.ctx.now() + _TELL_DRIFT_S
        device: object = None
        while True:
            if self._watch.away:
                yield self._faded(await self._silence(timeline))
                continue
            block = await self._arrived.get()
            if block is None:
                continue
            if self._silenced and block.captured_at < timeline.end_s - _OVERLAP_S:
                continue  # its time was given out as silence
            if device not in {None, block.device} and not self._silenced:
                between, rest = timeline.joined(block)
                if rest is None:
                    continue  # the device before has given its time
                block, overruns = rest, self._overruns
                if between:
                    yield self._faded(timeline.silence(between))
            elif self._overruns != overruns or self._silenced:
                timeline.jump_to(block.captured_at)
                overruns = self._overruns
            device = block.device
            self._silenced = False
            self._tell(overruns, timeline.drift.ppm)
            yield self._faded(timeline.frame(block))

    def _tell(self, overruns: int, ppm: float | None) -> None:
        """Tell of lost audio once a second, of the drift once a minute."""
        now = self.ctx.now()
        if overruns != self._told and now >= self._tell_overruns_at:
            self._told, self._tell_overruns_at = overruns, now + _TELL_OVERRUNS_S
            self.ctx.publish(MicOverran(count=overruns))
        if ppm is not None and now >= self._tell_drift_at:
            self._tell_drift_at = now + _TELL_DRIFT_S
            self.ctx.publish(DriftMeasured(ppm=round(ppm, 1)))

    def gauge(self) -> str:
        """Return whether it is muted, the device if another, and how much faster its clock runs."""
        muted = "muted" if self._muted else ""
        drift = in_words(self._timeline.drift.ppm)
        return ", ".join(filter(None, (muted, self._watch.other, drift)))

    def _faded(self, frame: AudioFrame) -> AudioFrame:
        """Return the frame, muted where it is to be."""
        samples = audio.pcm(frame)
        faded = self._fader.applied(samples, frame.sample_rate)
        if faded is not samples:
            samples[:] = faded
        return frame

    async def _silence(self, timeline: Timeline) -> AudioFrame:
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

    def _switched(self) -> None:
        """Go on with another device; what it heard before may close a gap."""
        for block in self._ahead:
            if block.device is self._watch.connection:
                self._put(block)
        self._ahead.clear()

    def _forget_arrived(self) -> None:
        while not self._arrived.empty():
            self._arrived.get_nowait()

    def _open_stream(
        self, device: Device, connection: Connection[Capture]
    ) -> tuple[Device, Capture]:
        capture = Capture(device, self.options, connection, now=self.ctx.now, heard=self._heard)
        return capture.device, capture

    # -- in the device's thread --------------------------------------------------------------------

    def _heard(self, block: Block, overruns: int) -> None:
        self._loop.call_soon_threadsafe(self._take, block, overruns)

    # -- in the loop's thread ----------------------------------------------------------------------

    def _take(self, block: Block, overruns: int) -> None:
        if block.device is self._watch.connection:
            self._overruns += overruns
            self._put(block)
        else:  # one that is yet to follow, or was
            self._ahead.append(block)

    def _put(self, block: Block | None) -> None:
        if self._arrived.full():
            self._arrived.get_nowait()
            self._overruns += 1
        self._arrived.put_nowait(block)
