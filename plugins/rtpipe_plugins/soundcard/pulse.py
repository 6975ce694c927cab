"""What only PulseAudio itself knows: whether it has moved a stream of ours to another device."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from rtpipe import EnvironmentProblem
from rtpipe_plugins.child.thread import OwnThread

if TYPE_CHECKING:
    import asyncio

    from rtpipe_plugins.soundcard.portaudio import Direction

_ANSWER_S = 2.5
"""A server that takes longer hangs."""


def connected(name: str = "rtpipe") -> Any:
    """Return a connection of pulsectl's to the sound server, or None where there is no PulseAudio.

    Raises:
        EnvironmentProblem: The server hangs.
    """
    try:
        import pulsectl
    except (ImportError, OSError):  # no client library: PulseAudio cannot be asked
        return None
    pulse = pulsectl.Pulse(name, connect=False)
    until = time.monotonic() + _ANSWER_S
    try:
        pulse.connect(timeout=_ANSWER_S)
    except pulsectl.PulseError:
        pulse.close()
        if time.monotonic() < until:
            return None
    else:
        return pulse
    raise EnvironmentProblem(
        f"the sound server hangs: no answer in {_ANSWER_S:g} s",
        help="restart it: `systemctl --user restart pipewire-pulse` or `pulseaudio -k`; "
        "PULSE_SERVER may name another",
    )


def require_answer() -> None:
    """Make sure that the sound server does not hang, if there is one.

    Raises:
        EnvironmentProblem: It does.
    """
    pulse = connected()
    if pulse is not None:
        pulse.close()


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
        self._asking: asyncio.Future[bool] | None = None
        self._connection: Any = None
        self._elsewhere = False

    def strayed(self, name: str) -> bool:
        """Return whether our streams were not on the device `name` the last two times; ask again.

        Never waits: a sound server may hang. Twice, since a stream that has run dry is made anew.
        """
        asked, self._asking = self._asking, None
        if asked is not None and not asked.done():
            self._asking = asked
            return False
        elsewhere = asked is not None and asked.result()
        twice, self._elsewhere = elsewhere and self._elsewhere, elsewhere
        self._asking = self._thread.start(self._ask, name)
        return twice

    def forget(self) -> None:
        """Forget the answers so far: the streams have been opened anew."""
        self._asking, self._elsewhere = None, False

    async def close(self) -> None:
        """Hang up."""
        await self._thread.end(self._disconnect)

    def _ask(self, name: str) -> bool:
        try:
            import pulsectl
        except (ImportError, OSError):  # no client library: PulseAudio cannot be asked
            return False
        try:
            if self._connection is None:
                self._connection = pulsectl.Pulse("rtpipe")
            return not self._is_on(name)
        except pulsectl.PulseError:
            self._disconnect()
            return False  # there is no server: the stream's own end tells

    def _is_on(self, name: str) -> bool:
        pulse = self._connection
        if self._direction == "input":
            devices, streams = pulse.source_list(), pulse.source_output_list()
            used = {stream.source for stream in streams if _is_ours(stream)}
        else:
            devices, streams = pulse.sink_list(), pulse.sink_input_list()
            used = {stream.sink for stream in streams if _is_ours(stream)}
        meant = {device.index for device in devices if device.name == name}
        return bool(meant & used or (meant and not used))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_ours(stream: Any) -> bool:
    return bool(stream.proplist.get("application.process.id") == str(os.getpid()))
