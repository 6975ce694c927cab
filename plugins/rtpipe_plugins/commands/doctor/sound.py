"""The doctor's ear: a soft chirp out of the loudspeaker, how loud it comes back, and how late."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import EnvironmentProblem, Finding, RtpipeError
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.sinks.speaker.options import SpeakerOptions
from rtpipe_plugins.sinks.speaker.outlet import BLOCK_MS, DEVICE_S
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.sources.mic.options import MicOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rtpipe import Options

_NAME = "round trip"
_CHIRP_S = 0.2
_LEAD_S = 0.5
"""Silence first: by then a stream has filled its buffers and runs evenly."""
_PATIENCE_S = 3.0
_TRIP_S = 15.0
"""All of it, so that a sound server that hangs keeps nobody waiting."""
_LISTEN_S = 1.5
"""From the chirp on."""
_HEARD_ABOVE = 8.0
_FOUND_BY_ITSELF_MS = 400
"""The echo canceller finds no longer way."""


class CapturedSound:
    """What a microphone gave, and when.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._blocks: list[NDArray[np.float64]] = []
        self._came_at: list[float] = []

    def add(self, block: NDArray[np.int16], came_at: float) -> None:
        """Append mono samples that came at a second of the monotonic clock."""
        self._blocks.append(block / 32768)
        self._came_at.append(came_at)

    @property
    def samples(self) -> NDArray[np.float64]:
        """All of it, mono, full scale ±1."""
        return np.concatenate([np.zeros(0), *self._blocks])

    def time_of(self, index: int) -> float:
        """Return when sample `index` came, had it not waited for the rest of its block (s)."""
        ends = np.cumsum([len(block) for block in self._blocks])
        block = int(np.searchsorted(ends, index, "right"))
        return self._came_at[block] - float(ends[block] - 1 - index) / self.sample_rate


async def try_sound(options: Sequence[Options]) -> list[Finding]:
    """Return how the sound travels from a loudspeaker to a microphone, if there are both."""
    speakers = [each for each in options if isinstance(each, SpeakerOptions)]
    mics = [each for each in options if isinstance(each, MicOptions)]
    if not (speakers and mics):
        return []
    trip = in_daemon_thread("sound", round_trip, speakers[0], mics[0])
    try:
        return [await portaudio.in_time(trip, _TRIP_S)]
    except RtpipeError as error:
        return [Finding("unknown", error.message, help=error.help, name=_NAME)]


def round_trip(speaker: SpeakerOptions, mic: MicOptions) -> Finding:
    """Play a soft chirp and listen: how loud the room is, whether it is heard there, how late."""
    try:
        heard, played_at = _play_and_hear(speaker, mic)
    except RtpipeError as error:
        return Finding("unknown", error.message, help=error.help, name=_NAME)
    return judged(heard, played_at)


def judged(heard: CapturedSound, played_at: float) -> Finding:
    """Return what a recording says of the way from the loudspeaker to the microphone.

    Args:
        heard: The recording.
        played_at: When the loudspeaker took the first sample of the chirp (s).
    """
    samples = heard.samples
    if not np.any(samples):
        seen, remedy = "the microphone gives digital silence", "unmute it in the sound mixer"
        return Finding("missing", seen, help=remedy, name=_NAME)
    level_dbfs = 10 * np.log10(max(float(np.mean(np.square(samples))), 1e-12))
    level = f"the microphone hears {level_dbfs:.0f} dBFS"
    wanted = chirp(heard.sample_rate)
    size = len(samples) + len(wanted)
    product = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(wanted, size))
    likeness = np.abs(np.fft.irfft(product, size))[: len(samples)]
    if likeness.max() < _HEARD_ABOVE * np.median(likeness):
        remedy = "turn the loudspeaker up; with headphones this is as it should be"
        seen = f"{level}, but not the loudspeaker"
        return Finding("unknown", seen, help=remedy, name=_NAME)
    way_ms = (heard.time_of(int(np.argmax(likeness))) - played_at) * 1000
    seen = f"{level}, and the loudspeaker in it, {way_ms:.0f} ms after it was given the sound"
    late = f"say `delay_ms: {way_ms:.0f}` to `echo_cancel`"
    return Finding("ok", seen, help=late if way_ms > _FOUND_BY_ITSELF_MS else None, name=_NAME)


def chirp(sample_rate: int) -> NDArray[np.float64]:
    """Return a sound that is found again, 0.2 s from 500 to 3000 Hz, full scale ±1."""
    t = np.arange(round(_CHIRP_S * sample_rate)) / sample_rate
    sweep = np.sin(2 * np.pi * (500 * t + 0.5 * (2500 / _CHIRP_S) * t**2))
    return 0.1 * sweep * np.sin(np.pi * t / _CHIRP_S)


def _play_and_hear(speaker: SpeakerOptions, mic: MicOptions) -> tuple[CapturedSound, float]:
    """Return what is heard of a chirp, and when the loudspeaker took its first sample (s).

    Raises:
        RtpipeError: A device is not there, does not open or does not begin.
    """
    sounddevice = portaudio.load()
    into = portaudio.find_device(sounddevice, mic.device, "input")
    out = portaudio.find_device(sounddevice, speaker.device, "output")
    ears = portaudio.fitting_channels(sounddevice, into, "input", mic.sample_rate)
    mouths = portaudio.fitting_channels(sounddevice, out, "output", speaker.sample_rate)
    heard, mouth = CapturedSound(mic.sample_rate), _Mouth(speaker.sample_rate, mouths)
    listening = threading.Event()

    def hear(data: Any, samples: int, *_: object) -> None:
        now = time.monotonic()
        heard.add(np.frombuffer(bytes(data), np.int16).reshape(samples, ears)[:, 0], now)
        listening.set()

    with ExitStack() as streams:
        hearing = portaudio.open_stream(
            sounddevice,
            into,
            "input",
            sample_rate=mic.sample_rate,
            block_ms=mic.block_ms,
            channels=ears,
            latency=mic.latency,
            callback=hear,
        )
        streams.callback(hearing.close)
        _wait_for(listening, f"{into} gives no sound")
        playing = portaudio.open_stream(
            sounddevice,
            out,
            "output",
            sample_rate=speaker.sample_rate,
            block_ms=BLOCK_MS,
            channels=mouths,
            latency=DEVICE_S,
            callback=mouth.fill,
        )
        streams.callback(playing.close)
        _wait_for(mouth.begun, f"{out} takes no sound")
        time.sleep(_LISTEN_S)
    return heard, mouth.chirped_at


def _wait_for(begun: threading.Event, otherwise: str) -> None:
    """Wait for a stream to begin: a sound server may take its time.

    Raises:
        EnvironmentProblem: It has not begun.
    """
    if not begun.wait(_PATIENCE_S):
        remedy = "is it plugged in, and does the sound server run?"
        raise EnvironmentProblem(f"{otherwise} for {_PATIENCE_S:g} s", help=remedy)


class _Mouth:
    """Gives a device silence, a chirp and silence again.

    Args:
        sample_rate: Hz.
        channels: That all get it.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        lead = np.zeros(round(_LEAD_S * sample_rate))
        mono = np.rint(np.concatenate([lead, chirp(sample_rate)]) * 32767).astype(np.int16)
        self._left = np.repeat(mono[:, None], channels, axis=1).tobytes()
        self._lead = len(lead) * 2 * channels
        self._bytes_a_second = sample_rate * 2 * channels
        self.begun = threading.Event()
        """Set once the chirp is being taken."""
        self.chirped_at = 0.0
        """When the first sample of the chirp was due, by when its block was taken (s)."""

    def fill(self, data: Any, *_: object) -> None:
        """Fill a block; PortAudio's callback, in its thread."""
        if 0 <= self._lead < len(data):
            self.chirped_at = time.monotonic() + self._lead / self._bytes_a_second
            self.begun.set()
        self._lead -= len(data)
        part, self._left = self._left[: len(data)], self._left[len(data) :]
        data[:] = part + bytes(len(data) - len(part))
