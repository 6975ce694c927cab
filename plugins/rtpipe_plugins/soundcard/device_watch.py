"""A device that may go and come back, or be exchanged while audio flows."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from rtpipe import Backoff, EnvironmentProblem, RtpipeError, StageContext, StageError
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.soundcard.connection import Connection, S
from rtpipe_plugins.soundcard.events import (
    DeviceChanged,
    DeviceLost,
    DeviceMuted,
    DeviceRefused,
    DeviceReturned,
    DeviceUnmuted,
)
from rtpipe_plugins.soundcard.listing import SERVERS, KnownDevices
from rtpipe_plugins.soundcard.pulse import PulseStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.soundcard.options import OnLost
    from rtpipe_plugins.soundcard.portaudio import Device, Direction

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
_OTHERS_S = 0.5
"""What is told of a loss waits no longer for the list of the other devices."""
_LONGEST_NAME = 1000
_BACKOFF = Backoff(0.5, 2.0, jitter=0.0)
"""Trying is cheap, and what is back must be heard at once."""


class DeviceWatch(Generic[S]):
    """Opens a stage's device, notices when it is gone, opens it again, and takes another in place.

    Args:
        ctx: The stage's.
        direction: Which way its audio goes.
        device: What the file names.
        on_lost: What to do about a loss: open it again, or fail so that `fallback:` takes over, or
            fail.
        open_stream: Opens and starts a stream on a device; returns the device and what is to be
            closed. Blocking. It says to the connection, in any thread, when audio moves and when
            the stream has ended.
        changed: Called in the loop's thread when the device has gone and when there is one again.
        switched: Called there when another device, whose audio flows, has followed one that was
            well; that one is still open.
        tail_s: How long a device that another has followed may play on what it has taken (s).
    """

    _holding: ClassVar[set[Connection[Any]]] = set()
    """What is open in this process."""

    def __init__(
        self,
        ctx: StageContext,
        direction: Direction,
        device: str,
        on_lost: OnLost,
        *,
        open_stream: Callable[[Device, Connection[S]], tuple[Device, S]],
        changed: Callable[[], None],
        switched: Callable[[], None],
        tail_s: float = 0.0,
    ) -> None:
        self._ctx = ctx
        self._direction: Direction = direction
        self._first = device
        self._on_lost = on_lost
        self._open_stream = open_stream
        self._changed = changed
        self._switched = switched
        self._tail_s = tail_s
        self._thread = OwnThread(ctx.id, may_hang=True)
        self._pulse = PulseStreams(direction)
        self._known = KnownDevices(direction)
        self._own: set[Connection[S]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self._asked: Connection[S] | None = None
        self._away = self._muted = False
        self._failure: RtpipeError | None = None
        self.connection: Connection[S] | None = None
        """The device in use, or the one that is waited for."""

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

    @property
    def other(self) -> str:
        """The device, if it is not the one that the file names; "" if it is."""
        connection = self.connection
        if connection is None or connection.wanted == self._first:
            return ""
        return str(connection.device)

    async def start(self) -> None:
        """Open the device.

        Raises:
            EnvironmentProblem: There is no PortAudio or no such device, or it does not open.
            StageError: Several devices match.
        """
        self.connection = self._wanted(self._first)
        await self._open(self.connection)
        self._watching = self._watch_over(self.connection)
        self._known.look()

    def use(self, wanted: str) -> None:
        """Begin to take another device; `device.changed` or `device.refused` tells the outcome.

        Raises:
            StageError: That is no name of a device, or the stage has no device any more.
        """
        if not wanted.removeprefix("pulse:").strip():
            raise StageError("a device has a name", help="`rtpipe devices` prints what to paste")
        if len(wanted) > _LONGEST_NAME or not wanted.isprintable():
            raise StageError("no device has such a name", help="`rtpipe devices` prints names")
        if self._watching is None or self._failure is not None:
            raise StageError("there is no device that another could follow")
        if self._changing is not None:
            self._changing.cancel()
        if self._asked is not None:
            self._refuse(self._asked, f"{wanted} was asked for after it")
        self._asked = self._wanted(wanted)
        self._changing = asyncio.create_task(
            self._change(self._asked), name=f"{self._ctx.id} use {wanted}"
        )

    def devices(self) -> list[dict[str, Any]]:
        """Return the devices that could be used, as they were last seen; and look again."""
        if self.connection is None:
            return []
        if self._watching is not None:
            self._known.look()
        return self._known.described(self.connection.device)

    async def end(self) -> None:
        """Let go of the device."""
        tasks = [task for task in (self._changing, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._watching = None
        if self._asked is not None:
            self._refuse(self._asked, "the stage ends")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pulse.close()
                await self._thread.end(self._let_go_of_all)
                await self._known.end()
        except TimeoutError:
            portaudio.abandon()
            self._ctx.log.warning("the device hangs: left as it is")

    # -- one device --------------------------------------------------------------------------------

    def _wanted(self, name: str) -> Connection[S]:
        return Connection(name, self._direction, self._ctx.id, self._ctx.clock)

    async def _open(self, connection: Connection[S]) -> None:
        take = self._take_other if connection is self._asked else self._take
        await portaudio.in_time(self._thread.start(take, connection), _OPEN_S)
        self._pulse.forget()

    def _watch_over(self, connection: Connection[S]) -> asyncio.Task[None]:
        return asyncio.create_task(self._watch(connection), name=f"{self._ctx.id} device")

    async def _watch(self, connection: Connection[S]) -> None:
        while True:
            reason = await self._loss(connection)
            lost_at = self._ctx.now()
            name = str(connection.device)
            self._away = True
            self._changed()
            others = await self._known.others(connection.device, _OTHERS_S)
            if self._on_lost == "fallback":
                self._failure = EnvironmentProblem(f"{name} {reason}")
            elif self._on_lost == "fail":
                self._failure = StageError(f"{name} {reason}")
            self._ctx.publish(
                DeviceLost(device=name, reason=reason, direction=self._direction, others=others)
            )
            if self._failure is not None:
                self._changed()
                return
            connection = await self._return(connection)
            self.connection, self._away = connection, False
            away_s = round(self._ctx.now() - lost_at, 3)
            self._ctx.publish(DeviceReturned(device=name, away_s=away_s))
            self._changed()

    async def _loss(self, connection: Connection[S]) -> str:
        """Return why the device is gone, once it is."""
        beats, opened_at = connection.beats, self._ctx.now()
        beaten_at = opened_at
        pulse = connection.device.pulse
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await connection.ended.wait()
                    return "is gone"
            except TimeoutError:
                pass
            now = self._ctx.now()
            if connection.beats != beats:
                beats, beaten_at = connection.beats, now
            elif now - beaten_at >= _SILENT_S and now - opened_at >= _FIRST_S:
                return "hangs: no audio moves"
            if pulse and self._pulse.strayed(pulse):
                return "is gone: PulseAudio moved us to another device"
            self._tell_mute(connection)

    def _tell_mute(self, connection: Connection[S]) -> None:
        if self._pulse.muted != self._muted:
            self._muted = self._pulse.muted
            kind = DeviceMuted if self._muted else DeviceUnmuted
            self._ctx.publish(kind(device=str(connection.device)))

    async def _return(self, lost: Connection[S]) -> Connection[S]:
        """Open the device again, as often as it takes until its audio flows."""
        for failures in count():
            again = self._wanted(lost.wanted)
            try:
                await self._thread.start(self._let_go, lost)
                await asyncio.sleep(_BACKOFF.pause_s(failures))
                await self._thread.start(self._look_again)
                await self._open(again)
                if await self._flows(again):
                    return again
            except Exception as problem:  # noqa: BLE001 - a driver may raise anything; we try again
                self._ctx.log.debug("still away: %s", problem)
            except asyncio.CancelledError:  # another was taken meanwhile
                self._give_up(lost)
                self._give_up(again)
                raise
            lost = again
        raise AssertionError

    async def _flows(self, connection: Connection[S]) -> bool:
        until = self._ctx.now() + _FIRST_S
        while not connection.beats:
            if self._ctx.now() >= until or connection.ended.is_set():
                return False
            await asyncio.sleep(_POLL_S)
        return True

    # -- another device ----------------------------------------------------------------------------

    async def _change(self, connection: Connection[S]) -> None:
        reason = await self._tried(connection)
        if reason:
            self._refuse(connection, reason)
        else:
            self._asked = None
            self._adopt(connection)

    async def _tried(self, connection: Connection[S]) -> str:
        """Return why a device cannot be taken; "" once its audio flows."""
        try:
            await self._open(connection)
        except RtpipeError as problem:
            return problem.message
        except Exception as problem:  # noqa: BLE001 - a driver may raise anything
            return repr(problem)
        if connection.stream is not None and not await self._flows(connection):
            return f"{connection.device} opens, but no audio moves"
        return "" if self._failure is None else self._failure.message

    def _adopt(self, connection: Connection[S]) -> None:
        """Take a device whose audio flows in the place of the one in use."""
        old = self.connection
        assert old is not None
        assert self._watching is not None
        if connection.stream is None:  # it is the one in use, by another name
            old.wanted = connection.wanted
        else:
            self.connection = connection
            self._watching.cancel()
            self._watching = self._watch_over(connection)
            self._pulse.forget()
            self._muted = self._pulse.muted = False
            was_away, self._away = self._away, False
            if was_away:
                self._changed()
            else:
                self._switched()
            asyncio.get_running_loop().call_later(self._tail_s, self._give_up, old)
        name, previous = str(connection.device), str(old.device)
        self._ctx.publish(DeviceChanged(device=name, previous=previous, asked=connection.wanted))
        self._known.look()

    def _refuse(self, connection: Connection[S], reason: str) -> None:
        self._asked = None
        self._give_up(connection)
        self._ctx.publish(DeviceRefused(device=connection.wanted, reason=reason))

    def _give_up(self, connection: Connection[S]) -> None:
        connection.given_up = True
        if self._watching is not None:  # else all of them are being closed
            self._thread.start(self._let_go, connection)

    # -- in the stage's own thread -----------------------------------------------------------------

    def _take(self, connection: Connection[S]) -> None:
        with portaudio.turn:
            try:
                device = self._found(connection)
            except EnvironmentProblem:
                if self._holding or portaudio.lists_none():  # which was looked at again already
                    raise
                portaudio.look_again()  # it may have been plugged in since
                device = self._found(connection)
            self._open_on(connection, device)

    def _take_other(self, connection: Connection[S]) -> None:
        """Open another device, unless it is the one in use."""
        with portaudio.turn:
            if connection.given_up:
                return
            if not self._holding:
                portaudio.look_again()
            device = connection.device = self._found(connection)
            used = self.connection
            if not self._away and used in self._holding and _is_same(used.device, device):
                return
            for each in self._holding:
                if each.is_rival(connection, device):
                    raise StageError(f"`{each.holder}` has {device} already")
            self._open_on(connection, device)

    def _found(self, connection: Connection[S]) -> Device:
        return portaudio.find_device(portaudio.load(), connection.wanted, self._direction)

    def _open_on(self, connection: Connection[S], device: Device) -> None:
        if not connection.given_up:
            connection.device, connection.stream = self._open_stream(device, connection)
            self._holding.add(connection)
            self._own.add(connection)

    def _let_go(self, connection: Connection[S]) -> None:
        with portaudio.turn:
            stream, connection.stream = connection.stream, None
            self._holding.discard(connection)
            self._own.discard(connection)
            if stream is not None:
                try:
                    stream.close()
                except Exception as problem:  # noqa: BLE001 - a driver may raise anything
                    self._ctx.log.debug("does not close: %s", problem)

    def _let_go_of_all(self) -> None:
        for connection in [*self._own]:
            self._let_go(connection)

    def _look_again(self) -> None:
        with portaudio.turn:
            if not self._holding:
                portaudio.look_again()


def _is_same(used: Device, wanted: Device) -> bool:
    """Return whether it is one device, and not what leads now to this one and then to that."""
    return str(used) == str(wanted) and (wanted.name not in SERVERS or wanted.pulse is not None)
