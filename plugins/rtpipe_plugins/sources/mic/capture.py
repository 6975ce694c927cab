"""An open microphone: its blocks, mono and with their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import EnvironmentProblem
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.soundcard.listing import SERVERS
from rtpipe_plugins.soundcard.pulse_capture import PulseCapture
from rtpipe_plugins.sources.mic.timeline import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.soundcard.connection import Connection
    from rtpipe_plugins.soundcard.portaudio import Device
    from rtpipe_plugins.sources.mic.options import MicOptions


class Capture:
    """Opens an input device, starts it, and hands over what it hears.

    Args:
        device: Which.
        options: The stage's.
        connection: Is told that audio flows, and that it has ended.
        now: The pipeline's time.
        heard: Called with each block and how often audio was lost before it; in a thread of the
            device's.

    Raises:
        EnvironmentProblem: It does not open, or has no such channel.
    """

    def __init__(
        self,
        device: Device,
        options: MicOptions,
        connection: Connection[Capture],
        *,
        now: Callable[[], float],
        heard: Callable[[Block, int], None],
    ) -> None:
        self._options = options
        self._connection = connection
        self._now = now
        self._heard = heard
        if options.channel is not None and device.name in SERVERS and device.pulse is None:
            # By ALSA the server would remix what has another channel map.
            device = portaudio.by_pulse(device, "@DEFAULT_SOURCE@", "input")
        wanted = options.channel or 1
        if wanted > device.channels:
            raise EnvironmentProblem(f"{device} has no channel {wanted}, only {device.channels}")
        self.device = device
        """The device that it is."""
        self._stream = self._opened()

    def close(self) -> None:
        """Let go of the device."""
        self._stream.close()

    def _opened(self) -> Any:
        device, options = self.device, self._options
        own = options.channel is not None
        if device.pulse_device is not None:
            self._channels = len(device.pulse_device.channel_map) if own else 1
            return PulseCapture(
                device.pulse_device,
                sample_rate=options.sample_rate,
                block_ms=options.block_ms,
                own_channels=own,
                latency=options.latency,
                callback=self._take,
                finished_callback=self._connection.finished,
            )
        sounddevice = portaudio.load()
        # One, mixed by the system, if the device allows it.
        self._channels = options.channel or portaudio.fitting_channels(
            sounddevice, device, "input", options.sample_rate
        )
        return portaudio.open_stream(
            sounddevice,
            device,
            "input",
            sample_rate=options.sample_rate,
            block_ms=options.block_ms,
            channels=self._channels,
            latency=options.latency,
            callback=self._take,
            finished_callback=self._connection.finished,
        )

    # -- in the device's thread --------------------------------------------------------------------

    def _take(self, data: Any, samples: int, time: Any, status: Any) -> None:
        import numpy as np

        self._connection.beat()
        late_s = time.currentTime - time.inputBufferAdcTime
        if not 0 < late_s < 1:  # some drivers do not know it
            late_s = samples / self._options.sample_rate
        block = np.frombuffer(bytes(data), np.int16).reshape(samples, self._channels)
        captured_at = self._now() - late_s
        self._heard(
            Block(self._mono(block), captured_at, self._connection), int(status.input_overflow)
        )

    def _mono(self, data: NDArray[np.int16]) -> NDArray[np.int16]:
        import numpy as np

        if self._options.channel is not None:
            return data[:, self._options.channel - 1]
        if self._channels == 1:
            return data[:, 0]
        mixed: NDArray[np.int16] = np.rint(data.mean(axis=1)).astype(np.int16)
        return mixed
