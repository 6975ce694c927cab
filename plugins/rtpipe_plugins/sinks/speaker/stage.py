"""`speaker`: a loudspeaker, or any other output device."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import AudioFormat, QueuePolicy, Sink, Specimen, StageContext, StageError, action, audio
from rtpipe_plugins.sinks.speaker.events import (
    SPEAKER_EVENTS,
    SpeakerMuted,
    SpeakerUnderran,
    SpeakerUnmuted,
    SpeakerVolumeChanged,
)
from rtpipe_plugins.sinks.speaker.options import MOST_VOLUME, SpeakerOptions
from rtpipe_plugins.sinks.speaker.outlet import BLOCK_MS, DEVICE_S, Outlet
from rtpipe_plugins.sinks.speaker.playback import (
    PLAYBACK_EVENTS,
    PlaybackBuffer,
    PlaybackLog,
    fitted,
)
from rtpipe_plugins.sound.drift import DriftControl, DriftMeasured, in_words
from rtpipe_plugins.soundcard.device_watch import DeviceWatch
from rtpipe_plugins.soundcard.events import DEVICE_EVENTS
from rtpipe_plugins.soundcard.muting import Muting, act_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Event, Finding, MachineLook
    from rtpipe_plugins.soundcard.connection import Connection
    from rtpipe_plugins.soundcard.portaudio import Device

_NEXT_SOUND_S = 1.0
"""What comes so long after a sound is another sound."""

_LIVE_ROOM_S = 0.12
"""What a live stream may bring early; more waits in the inlet, and is trimmed there."""
_OUT_OF_PLACE_S = 0.01
"""So much more or less than wanted is left out or put in, in a silence, where nobody hears it."""
_STANDING_S = 0.04
"""More than that is no jitter: it is left out without looking twice."""
_STEPS_ASIDE_S = 0.01
"""How far what waits may be from what is wanted before the audio is brought to fit."""
_TELL_DRIFT_S = 60.0
_TELL_UNDERRUNS_S = 1.0
"""A device that underruns does so with every block."""


class Speaker(Sink[SpeakerOptions]):
    """Plays what it gets, at the pace of the device.

    Of a live stream `prebuffer_ms` wait: for that, silence is left out or put in, never a sound.
    Where the stream does not run as the device's clock does, it is shortened or lengthened by as
    little, unheard. While the device is gone what comes is swallowed at the pace of speech.

    - speaker: {device: USB, prebuffer_ms: 100}
    """

    kind, external = "speaker", True
    publishes = (*PLAYBACK_EVENTS, *SPEAKER_EVENTS, *DEVICE_EVENTS, DriftMeasured)
    # A stall of the machine must not cost a syllable; trimming takes the lag back.
    inlet_policy = QueuePolicy(max_ms=200)
    # Who takes its echo away needs what sounds, when: after a flush, a stretch, a gap.
    tells_taps = True
    live = frozenset({"device", "mute", "volume", "fade_ms"})

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield the default device, which it keeps open."""
        yield Specimen(real_time=True)

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

    @classmethod
    def examine(cls, options: SpeakerOptions) -> tuple[MachineLook]:
        """Look whether there is such a device."""
        from rtpipe_plugins.soundcard.probing import device_look

        return (device_look(options, "output"),)

    @classmethod
    def probe(cls, options: SpeakerOptions) -> AsyncIterator[Finding]:
        """Look for PortAudio, the device and its sample rate."""
        from rtpipe_plugins.soundcard.probing import probe_device

        return probe_device(options, "output")

    def __init__(self, options: SpeakerOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._watch: DeviceWatch[Outlet] = DeviceWatch(
            ctx,
            "output",
            options.device,
            options.on_lost,
            open_stream=self._open_stream,
            changed=self._changed,
            switched=self._switched,
            tail_s=DEVICE_S + 2 * BLOCK_MS / 1000,
        )
        self._outlet: Outlet | None = None
        self._volume = options.volume
        self._muted = Muting(ctx, at_first=options.mute)
        self._moved = asyncio.Event()
        self._most_held = options.sample_rate * options.prebuffer_ms // 1000
        self._channels = 1
        self._buffer = PlaybackBuffer(self._channels, self._most_held)
        self._gaps = self._underruns = self._told = 0
        self._in_mid_sound = False
        self._consumed_at = self._taken_at = self._swallowed_until = 0.0
        self._drift = DriftControl(tolerance_s=_STEPS_ASIDE_S)
        self._tell_drift_at = _TELL_DRIFT_S
        self._tell_underruns_at = 0.0
        self._begin()

    def change(self, options: SpeakerOptions) -> None:
        """Be muted, louder or softer, or take another device, as the actions do."""
        before, self.options = self.options, options
        act_on(self, before, options)
        self.volume(options.volume if options.volume != before.volume else self._volume)

    @action
    def mute(self) -> None:
        """Fade out at once; what comes is played unheard."""
        self._set_muted(muted=True)

    @action
    def unmute(self) -> None:
        """Fade in again."""
        self._set_muted(muted=False)

    @action
    def volume(self, factor: float) -> None:
        """Change the volume, a factor from 0 to 4: 1 as it comes."""
        if not 0 <= factor <= MOST_VOLUME:
            raise StageError(f"factor must lie between 0 and {MOST_VOLUME:g}")
        if factor != self._volume:
            self._volume = float(factor)
            self._fade()
            self.ctx.publish(SpeakerVolumeChanged(volume=factor))

    @action(outcome=["device.changed", "device.refused"])
    def use(self, device: str | int) -> str:
        """Take another device, named as in `device:`; what waits is played on there."""
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
            self._fade()
            self.ctx.publish(SpeakerMuted() if muted else SpeakerUnmuted())

    @property
    def _wanted_volume(self) -> float:
        return 0.0 if self._muted else self._volume

    def _fade(self) -> None:
        if self._outlet is not None:
            self._outlet.fader.target = self._wanted_volume

    async def open(self) -> None:
        """Open the device and start it.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        self._loop = asyncio.get_running_loop()
        await self._watch.start()
        self._take_up()
        self._begin()
        if self._muted:
            self.ctx.publish(SpeakerMuted())

    async def close(self) -> None:
        """Let go of the device."""
        await self._watch.end()
        self._publish(self._playback_log.ended(self._buffer.taken))

    async def consume(self, frame: AudioFrame) -> None:
        """Play `frame`; returns when the device has room for more.

        Raises:
            EnvironmentProblem: The device is gone and `on_lost` is fallback.
            StageError: The device is gone and `on_lost` is fail.
        """
        if self._watch.away:
            await self._swallow(frame)
            return
        data = fitted(audio.pcm(frame), self._channels)
        audible = audio.peak(data) >= audio.AUDIBLE
        room = self._most_held
        if self.ctx.live:
            data = self._kept_in_step(data)
            if not audible:
                data = self._put_in_place(data)
            room += round(_LIVE_ROOM_S * self.options.sample_rate)
        self._count_gap(audible=audible)
        self._playback_log.pushed(frame, len(data), audible=audible)
        self._buffer.push(data)
        while self._buffer.held > room and not self._watch.away:
            self._moved.clear()
            await self._moved.wait()

    async def _swallow(self, frame: AudioFrame) -> None:
        """Let pass the time that the frame would have played."""
        begin = max(self._swallowed_until, self.ctx.now() - _NEXT_SOUND_S / 10)
        self._swallowed_until = begin + frame.samples / frame.sample_rate
        await self.ctx.clock.sleep_until(self._swallowed_until)

    def gauge(self) -> str:
        """Return what is not as in the file, and how much faster the device's clock runs."""
        muted = "muted" if self._muted else ""
        changed = self._volume != self.options.volume
        volume = f"volume {self._volume:g}" if changed else ""
        return ", ".join(filter(None, (muted, volume, self._watch.other, in_words(self._ppm))))

    @property
    def _ppm(self) -> float | None:
        ppm = self._drift.ppm
        return None if ppm is None else -ppm

    def _kept_in_step(self, data: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return live audio a little shorter or longer, so that what waits stays as much."""
        rate, now = self.options.sample_rate, self.ctx.now()
        if not self._buffer.flowing:
            self._drift.jumped()
            return self._stretcher.stretch(data, 0.0)
        # The device takes blocks: between two of them as much is played as time passes.
        waits_s = (self._buffer.held + len(data)) / rate - (now - self._taken_at)
        if now >= self._tell_drift_at and self._ppm is not None:
            self._tell_drift_at = now + _TELL_DRIFT_S
            self.ctx.publish(DriftMeasured(ppm=round(self._ppm, 1)))
        return self._stretcher.stretch(data, self._drift.update(waits_s, len(data) / rate))

    def _put_in_place(self, silence: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return more or less of a live stream's silence, so that `prebuffer_ms` wait."""
        import numpy as np

        rate = self.options.sample_rate
        if self._buffer.held > self._most_held + round(_STANDING_S * rate):
            self._drift.jumped()
            return silence[:0]
        excess_s = self._drift.amount_s - self.options.prebuffer_ms / 1000
        if not self._buffer.flowing or abs(excess_s) <= _OUT_OF_PLACE_S:
            return silence
        count = max(0, len(silence) - round(excess_s * rate))
        self._drift.moved((count - len(silence)) / rate)
        return np.zeros((count, self._channels), np.int16)

    def reset(self) -> None:
        """Stop what is being played, softly."""
        fade = self.options.sample_rate * self.options.fade_ms // 1000
        self._in_mid_sound = False
        self._playback_log.cut(self._buffer.flush(fade))

    async def drain(self) -> None:
        """Return when the last sample has been heard."""
        self._buffer.end()
        while self._buffer.held and not self._watch.away:
            self._moved.clear()
            await self._moved.wait()
        if self._watch.away or self._outlet is None:
            return
        # The device has taken it, but not played it: silence after it pushes it through.
        await asyncio.sleep(self._outlet.latency_s + 2 * BLOCK_MS / 1000)

    def _count_gap(self, *, audible: bool) -> None:
        """Tell of an underrun if the device ran dry between two frames of one sound."""
        now, gaps = self.ctx.now(), self._buffer.gaps
        soon = now - self._consumed_at < _NEXT_SOUND_S
        if gaps != self._gaps and audible and self._in_mid_sound and soon:
            self._tell_underrun()
        self._gaps, self._in_mid_sound, self._consumed_at = gaps, audible, now

    def _open_stream(self, device: Device, connection: Connection[Outlet]) -> tuple[Device, Outlet]:
        return device, Outlet(
            device,
            connection,
            sample_rate=self.options.sample_rate,
            prebuffer=self._most_held,
            volume=self._wanted_volume,
            now=self.ctx.now,
            playing=self._playing,
        )

    # -- in PortAudio's thread ---------------------------------------------------------------------

    def _playing(
        self,
        outlet: Outlet,
        out: bytearray,
        underflow: bool,  # noqa: FBT001 - what `Outlet` passes
        heard_at: float | None,
    ) -> None:
        if outlet is not self._outlet:
            return  # it is yet to follow, or was
        if self.ctx.taps:
            self._loop.call_soon_threadsafe(self._tell, bytes(out), outlet.channels)
        if heard_at is not None:
            taken = outlet.buffer.taken
            self._loop.call_soon_threadsafe(self._follow, outlet, underflow, taken, heard_at)

    # -- in the loop's thread ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin with an empty device."""
        from rtpipe_plugins.sound.stretcher import Stretcher

        self._playback_log = PlaybackLog(self.options.sample_rate)
        self._stretcher = Stretcher(self._channels)
        self._in_mid_sound = False
        self._gaps = 0

    def _tell(self, block: bytes, channels: int) -> None:
        """Tell who listens what the device plays next, silence too."""
        import numpy as np

        data = np.frombuffer(block, np.int16).reshape(-1, channels)[:, 0]
        rate = self.options.sample_rate
        self.ctx.tell_taps(audio.from_pcm(data, sample_rate=rate, pts=self._told))
        self._told += len(data)

    def _follow(self, outlet: Outlet, underflow: bool, taken: int, heard_at: float) -> None:  # noqa: FBT001 - what call_soon passes
        """Tell what the device has played, and let more come."""
        if outlet is not self._outlet:
            return
        self._moved.set()
        self._taken_at = self.ctx.now()
        if underflow and self._in_mid_sound:
            self._tell_underrun()
        self._publish(self._playback_log.played(taken, heard_at))

    def _tell_underrun(self) -> None:
        self._underruns += 1
        if self.ctx.now() >= self._tell_underruns_at:
            self._tell_underruns_at = self.ctx.now() + _TELL_UNDERRUNS_S
            self.ctx.publish(SpeakerUnderran(count=self._underruns))

    def _changed(self) -> None:
        """End what sounded in a device that is gone; begin anew in one that is back."""
        self._publish(self._playback_log.ended(self._buffer.taken))
        self._take_up()
        self._begin()
        self._drift.jumped()
        self._moved.set()

    def _switched(self) -> None:
        """Let another device play on what waits."""
        from rtpipe_plugins.sound.stretcher import Stretcher

        buffer, channels = self._buffer, self._channels
        self._take_up()
        self._buffer.follow(buffer)
        if self._channels != channels:
            self._stretcher = Stretcher(self._channels)
        self._drift = DriftControl(tolerance_s=_STEPS_ASIDE_S)
        self._moved.set()

    def _take_up(self) -> None:
        """Play on the device that is open now, if one is."""
        connection = self._watch.connection
        outlet = None if connection is None else connection.stream
        if outlet is not None:
            self._outlet, self._buffer, self._channels = outlet, outlet.buffer, outlet.channels
            outlet.fader.target = self._wanted_volume

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self.ctx.publish(event)
