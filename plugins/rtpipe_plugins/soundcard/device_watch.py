"""A device that may go and come back: noticing both, and opening it again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from rtpipe import (
    Backoff,
    EnvironmentProblem,
    Event,
    Importance,
    Options,
    RtpipeError,
    StageContext,
    StageError,
)
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.soundcard.pulse import PulseStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.soundcard.portaudio import Device, Direction

OnLost = Literal["wait", "fallback", "fail"]

_LOOK_S = 0.5
_POLL_S = 0.02
_SILENT_S = 1.0
"""A device that has given nothing for so long is taken to be gone."""
_FIRST_S = 3.0
"""What it may take to begin, also where it fills its buffer and then stands still: a null
sink of PulseAudio renders 2 s at its own start."""
_OPEN_S = 6.0
"""What opening may take."""
_CLOSE_S = 3.0
"""A sound server that is stopped, or a driver, may hold whoever closes for ever."""
_BACKOFF = Backoff(0.5, 2.0, jitter=0.0)
"""Trying is cheap, and what is back must be heard at once."""


class DeviceOptions(Options):
    """What a stage with a device needs to know of it."""

    main: ClassVar[str | None] = "device"

    device: str = Field("default", coerce_numbers_to_str=True)
    """default, a name or a part of one, an index, or pulse: and PulseAudio's name, index,
    description or @DEFAULT_SOURCE@; see `rtpipe devices`."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""


@dataclass(frozen=True, kw_only=True)
class DeviceLost(Event):
    """The device is gone; `on_lost` says what is done about it."""

    importance = Importance.WARNING
    type: str = "device.lost"
    device: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class DeviceReturned(Event):
    """The device is back and its audio flows again."""

    importance = Importance.WARNING
    type: str = "device.returned"
    device: str
    away_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is back after {self.away_s:.0f} s"


@dataclass(frozen=True, kw_only=True)
class DeviceMuted(Event):
    """The device has been muted at the sound server: what it gives or takes is silence."""

    importance = Importance.WARNING
    type: str = "device.muted"
    device: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is muted at the sound server"


@dataclass(frozen=True, kw_only=True)
class DeviceUnmuted(Event):
    """The device is no longer muted at the sound server."""

    importance = Importance.WARNING
    type: str = "device.unmuted"
    device: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.device} is no longer muted"


DEVICE_EVENTS = (DeviceLost, DeviceReturned, DeviceMuted, DeviceUnmuted)
"""What a stage with a `DeviceWatch` publishes."""


class DeviceWatch:
    """Opens a stage's device, notices when it is gone, and opens it again when it is back.

    Args:
        ctx: The stage's.
        direction: Which way its audio goes.
        on_lost: What to do about a loss: open it again, or fail so that `fallback:` takes over, or
            fail.
        open_stream: Opens and starts a stream of sounddevice's, given what to call, in any thread,
            when it ends; blocking.
        changed: Called in the loop's thread when the device has gone and when it is back.
    """

    _holding: ClassVar[set[DeviceWatch]] = set()
    """Those in this process that have a stream open."""

    def __init__(
        self,
        ctx: StageContext,
        direction: Direction,
        on_lost: OnLost,
        *,
        open_stream: Callable[[Callable[[], None]], tuple[Device, Any]],
        changed: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._on_lost = on_lost
        self._open_stream = open_stream
        self._changed = changed
        self._thread = OwnThread(ctx.id, may_hang=True)
        self._pulse = PulseStreams(direction)
        self._watching: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._beats = self._opened = 0
        self._away = self._muted = False
        self._failure: RtpipeError | None = None
        self.stream: Any = None
        """The stream, while it is open."""

    @property
    def away(self) -> bool:
        """Whether the device is gone and waited for.

        Raises:
            EnvironmentProblem: It is gone, and a fallback may take over.
            StageError: It is gone, and that is the end.
        """
        if self._failure is not None:
            raise self._failure
        return self._away

    def beat(self) -> None:
        """Say that the device has given or taken audio; in any thread."""
        self._beats += 1

    async def start(self) -> None:
        """Open the device.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        await self._open()
        self._watching = asyncio.create_task(self._watch(), name=f"{self._ctx.id} device")

    async def end(self) -> None:
        """Let go of the device."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self._opened += 1  # what ends now was asked to
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pulse.close()
                await self._thread.end(self._let_go)
        except TimeoutError:
            portaudio.abandon()
            self._ctx.log.warning("the device hangs: left as it is")

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._opened += 1
        number = self._opened
        self._ended.clear()

        def finished() -> None:
            loop.call_soon_threadsafe(self._end, number)

        opened = self._thread.start(self._take, finished)
        self._device = await portaudio.in_time(opened, _OPEN_S)
        self._pulse.forget()

    def _end(self, number: int) -> None:
        if number == self._opened:  # and not one that was closed to be opened again
            self._ended.set()

    async def _watch(self) -> None:
        while True:
            reason = await self._loss()
            lost_at = self._ctx.now()
            name = str(self._device)
            if self._on_lost == "fallback":
                self._failure = EnvironmentProblem(f"{name} {reason}")
            elif self._on_lost == "fail":
                self._failure = StageError(f"{name} {reason}")
            self._away = True
            self._ctx.publish(DeviceLost(device=name, reason=reason))
            self._changed()
            if self._failure is not None:
                return
            await self._return()
            self._away = False
            away_s = round(self._ctx.now() - lost_at, 3)
            self._ctx.publish(DeviceReturned(device=name, away_s=away_s))
            self._changed()

    async def _loss(self) -> str:
        """Return why the device is gone, once it is."""
        beats, opened_at = self._beats, self._ctx.now()
        beaten_at = opened_at
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._ended.wait()
                    return "is gone"
            except TimeoutError:
                pass
            now = self._ctx.now()
            if self._beats != beats:
                beats, beaten_at = self._beats, now
            elif now - beaten_at >= _SILENT_S and now - opened_at >= _FIRST_S:
                return "hangs: no audio moves"
            if self._device.pulse and self._pulse.strayed(self._device.pulse):
                return "is gone: PulseAudio moved us to another device"
            self._tell_mute()

    def _tell_mute(self) -> None:
        if self._pulse.muted != self._muted:
            self._muted = self._pulse.muted
            kind = DeviceMuted if self._muted else DeviceUnmuted
            self._ctx.publish(kind(device=str(self._device)))

    async def _return(self) -> None:
        """Open the device again, as often as it takes until its audio flows."""
        for failures in count():
            self._opened += 1
            await self._thread.start(self._let_go)
            await asyncio.sleep(_BACKOFF.pause_s(failures))
            try:
                await self._thread.start(self._look_again)
                await self._open()
            except Exception as problem:  # noqa: BLE001 - a driver may raise anything; we try again
                self._ctx.log.debug("still away: %s", problem)
            else:
                if await self._flows():
                    return

    async def _flows(self) -> bool:
        beats, until = self._beats, self._ctx.now() + _FIRST_S
        while self._beats == beats:
            if self._ctx.now() >= until or self._ended.is_set():
                return False
            await asyncio.sleep(_POLL_S)
        return True

    # -- in the stage's own thread -----------------------------------------------------------------

    def _take(self, finished: Callable[[], None]) -> Device:
        with portaudio.turn:
            device, self.stream = self._open_stream(finished)
            self._holding.add(self)
            return device

    def _let_go(self) -> None:
        with portaudio.turn:
            stream, self.stream = self.stream, None
            if stream is not None:
                stream.close()
            self._holding.discard(self)

    def _look_again(self) -> None:
        with portaudio.turn:
            if not self._holding:
                portaudio.look_again()
