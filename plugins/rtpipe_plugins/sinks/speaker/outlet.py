"""An open loudspeaker: what waits for it, and how loud it is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.sinks.speaker.playback import PlaybackBuffer
from rtpipe_plugins.sound.ramp import Fader
from rtpipe_plugins.soundcard import portaudio

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.soundcard.connection import Connection
    from rtpipe_plugins.soundcard.portaudio import Device

BLOCK_MS = 10
DEVICE_S = 0.04
"""What the device itself may hold: its low default (20 ms) crackles on a busy computer."""
_RAMP_MS = 20.0
"""Of a change of the volume."""


class Outlet:
    """Opens an output device and starts it; it plays silence until its buffer has something.

    Args:
        device: Which.
        connection: Is told that audio flows, and that it has ended.
        sample_rate: Hz.
        prebuffer: See `PlaybackBuffer`.
        volume: Factor to begin with.
        now: The pipeline's time.
        playing: Called with this, the block that the device has just been given, whether it ran dry
            before, and the pipeline second at which what the buffer gave of it has been heard, None
            if it gave nothing; in the device's thread.

    Raises:
        EnvironmentProblem: It does not open.
    """

    def __init__(
        self,
        device: Device,
        connection: Connection[Outlet],
        *,
        sample_rate: int,
        prebuffer: int,
        volume: float,
        now: Callable[[], float],
        playing: Callable[[Outlet, bytearray, bool, float | None], None],
    ) -> None:
        self.channels = min(2, device.channels)
        self.buffer = PlaybackBuffer(self.channels, prebuffer)
        self.fader = Fader(volume, _RAMP_MS)
        self._rate = sample_rate
        self._connection = connection
        self._now = now
        self._playing = playing
        self._stream = portaudio.open_stream(
            portaudio.load(),
            device,
            "output",
            sample_rate=sample_rate,
            block_ms=BLOCK_MS,
            channels=self.channels,
            latency=DEVICE_S,
            callback=self._fill,
            finished_callback=connection.finished,
        )

    @property
    def latency_s(self) -> float:
        """What the device itself holds (s)."""
        return float(self._stream.latency)

    def close(self) -> None:
        """Let go of the device."""
        self._stream.close()

    # -- in PortAudio's thread ---------------------------------------------------------------------

    def _fill(self, out: Any, samples: int, time: Any, status: Any) -> None:
        self._connection.beat()
        now, device_s = self._now(), time.outputBufferDacTime - time.currentTime
        taken = self._faded(self.buffer.take(samples))
        out[: len(taken)] = taken
        out[len(taken) :] = bytes(len(out) - len(taken))
        heard_at = None
        if taken:
            if not 0 < device_s < 1:  # some drivers do not know it
                device_s = DEVICE_S
            heard_at = now + device_s + len(taken) / (2 * self.channels * self._rate)
        self._playing(self, out, bool(status.output_underflow), heard_at)

    def _faded(self, taken: bytes) -> bytes:
        if not taken:
            self.fader.settle()
            return taken
        import numpy as np

        data = np.frombuffer(taken, np.int16).reshape(-1, self.channels)
        faded = self.fader.applied(data, self._rate)
        return taken if faded is data else faded.tobytes()
