"""What only PulseAudio itself knows: its devices, and whether it has moved a stream of ours."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rtpipe import EnvironmentProblem, ExitCode, StageError
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.soundcard.libpulse import NoSoundServer, PulseContext

if TYPE_CHECKING:
    import asyncio

    from rtpipe_plugins.soundcard.portaudio import Direction


def connected() -> Any:
    """Return a connection of pulsectl's to the sound server, or None where there is no PulseAudio.

    Raises:
        EnvironmentProblem: The server hangs.
    """
    try:
        import pulsectl

        PulseContext().close()  # for one that hangs, pulsectl would wait for ever
    except (ImportError, OSError, NoSoundServer):  # no client library, or no server
        return None
    try:
        return pulsectl.Pulse("rtpipe")
    except pulsectl.PulseError:  # it has just gone
        return None


def require_answer() -> None:
    """Make sure that the sound server does not hang, if there is one.

    Raises:
        EnvironmentProblem: It does.
    """
    with suppress(OSError, NoSoundServer):
        PulseContext().close()


@dataclass(frozen=True, slots=True)
class PulseDevice:
    """A source or a sink.

    Attributes:
        index: The server's number; it lasts as long as the server does.
        name: What the server calls it.
        description: What people call it.
        channel_map: The position of each of its channels, in libpulse's numbers.
        sample_rate: Its own (Hz).
    """

    index: int
    name: str
    description: str
    channel_map: tuple[int, ...]
    sample_rate: int

    @property
    def is_monitor(self) -> bool:
        """Whether it is what an output plays, which nobody means by "input device"."""
        return self.name.endswith(".monitor")


def pulse_devices(direction: Direction) -> list[PulseDevice] | None:
    """Return the sources or sinks there are, or None where no PulseAudio can be asked.

    Raises:
        EnvironmentProblem: The server hangs.
    """
    pulse = connected()
    if pulse is None:
        return None
    try:
        return _listed(pulse, direction)
    finally:
        pulse.close()


def find_pulse_device(wanted: str, direction: Direction) -> PulseDevice | None:
    """Return the one device that `wanted` means, or None where no PulseAudio can be asked.

    Args:
        wanted: A name, an index, a description, or `@DEFAULT_SOURCE@` and its like.
        direction: Sources or sinks.

    Raises:
        EnvironmentProblem: There is no such device, or the server hangs.
        StageError: Several are described so.
    """
    pulse = connected()
    if pulse is None:
        return None
    try:
        devices = _listed(pulse, direction)
        server = pulse.server_info()
    finally:
        pulse.close()
    if direction == "input":
        meant = {
            "@DEFAULT_SOURCE@": server.default_source_name,
            "@DEFAULT_MONITOR@": f"{server.default_sink_name}.monitor",
        }
    else:
        meant = {"@DEFAULT_SINK@": server.default_sink_name}
    return device_meant(meant.get(wanted, wanted), devices, direction)


def _listed(pulse: Any, direction: Direction) -> list[PulseDevice]:
    return [
        PulseDevice(
            each.index,
            each.name,
            each.description,
            tuple(each.channel_list_raw),
            each.sample_spec.rate,
        )
        for each in (pulse.source_list() if direction == "input" else pulse.sink_list())
    ]


def device_meant(wanted: str, devices: list[PulseDevice], direction: Direction) -> PulseDevice:
    """Return the one of `devices` that has a name, an index or a description.

    Raises:
        EnvironmentProblem: There is none.
        StageError: Several are described so.
    """
    folded = wanted.casefold()
    for matches in (
        [device for device in devices if device.name == wanted],
        [device for device in devices if str(device.index) == wanted],
        [device for device in devices if device.description.casefold() == folded],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise StageError(
                f"several {direction} devices are described as `{wanted}`",
                help="name one: " + ", ".join(f"pulse:{device.name}" for device in matches),
                exit_code=ExitCode.CONFIGURATION,
            )
    known = ", ".join(f"pulse:{device.name}" for device in devices) or "none"
    raise EnvironmentProblem(
        f"no {direction} device matches `pulse:{wanted}`; there is {known}",
        help="`rtpipe devices` prints what to paste",
    )


class _Answer(NamedTuple):
    elsewhere: bool
    muted: bool


class PulseStreams:
    """Asks PulseAudio where this process's streams are.

    When a device is unplugged, PulseAudio lets its streams go on with another one, so a kiosk would
    listen to its own loudspeaker; the stream itself does not notice.

    Args:
        direction: Which streams.
    """

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._thread = OwnThread("pulse", may_hang=True)
        self._asking: asyncio.Future[_Answer] | None = None
        self._connection: Any = None
        self._elsewhere = False
        self.muted = False
        """Whether the device was muted when last asked about."""

    def strayed(self, name: str) -> bool:
        """Return whether our streams were not on the device `name` the last two times; ask again.

        Never waits: a sound server may hang. Twice, since a stream that has run dry is made anew.
        """
        asked, self._asking = self._asking, None
        if asked is not None and not asked.done():
            self._asking = asked
            return False
        elsewhere = False
        if asked is not None:
            elsewhere, self.muted = asked.result()
        twice, self._elsewhere = elsewhere and self._elsewhere, elsewhere
        self._asking = self._thread.start(self._ask, name)
        return twice

    def forget(self) -> None:
        """Forget the answers so far: the streams have been opened anew."""
        self._asking, self._elsewhere = None, False

    async def close(self) -> None:
        """Hang up."""
        await self._thread.end(self._disconnect)

    def _ask(self, name: str) -> _Answer:
        try:
            import pulsectl
        except (ImportError, OSError):  # no client library: PulseAudio cannot be asked
            return _Answer(elsewhere=False, muted=False)
        try:
            if self._connection is None:
                self._connection = pulsectl.Pulse("rtpipe")
            return self._answer(name)
        except pulsectl.PulseError:
            self._disconnect()
            # There is no server: the stream's own end tells.
            return _Answer(elsewhere=False, muted=False)

    def _answer(self, name: str) -> _Answer:
        pulse = self._connection
        if self._direction == "input":
            devices, streams = pulse.source_list(), pulse.source_output_list()
            used = {stream.source for stream in streams if _is_ours(stream)}
        else:
            devices, streams = pulse.sink_list(), pulse.sink_input_list()
            used = {stream.sink for stream in streams if _is_ours(stream)}
        meant = {device.index: bool(device.mute) for device in devices if device.name == name}
        there = bool(meant.keys() & used or (meant and not used))
        return _Answer(elsewhere=not there, muted=any(meant.values()))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_ours(stream: Any) -> bool:
    return bool(stream.proplist.get("application.process.id") == str(os.getpid()))
