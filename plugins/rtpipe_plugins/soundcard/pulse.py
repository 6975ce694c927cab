"""What only PulseAudio itself knows: whether it has moved a stream of ours to another device."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.child.thread import OwnThread

if TYPE_CHECKING:
    import asyncio

    from rtpipe_plugins.soundcard.portaudio import Direction


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
