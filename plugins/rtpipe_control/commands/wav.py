"""WAV as it comes over a line: its header taken apart, and a file that is valid at any time."""

from __future__ import annotations

import array
import math
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rtpipe_control.wave import PCM, wave_header

if TYPE_CHECKING:
    from io import RawIOBase

_EXTENSIBLE = 0xFFFE
_MOST_HEADER = 64 * 1024
_SAMPLE = 2


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes; fewer at the end alone."""
        ...


@dataclass(frozen=True, slots=True)
class Sound:
    """What a stream of s16 samples is: so many per second, in so many channels."""

    rate: int
    channels: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return _SAMPLE * self.channels

    def header(self, size: int | None = None) -> bytes:
        """Return the bytes before the samples; see `wave_header`."""
        return wave_header(self.rate, self.channels, size)


def read_header(stream: Readable) -> Sound:
    """Read up to the first sample; return what follows.

    Raises:
        ValueError: It is no WAV of s16 samples.
    """
    riff = stream.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise ValueError("no WAV")
    sound = None
    read = 0
    while len(head := stream.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if sound is None:
                raise ValueError("no format before the samples")
            return sound
        read += size
        if read > _MOST_HEADER:
            break
        body = stream.read(size + size % 2)
        if name == b"fmt " and len(body) >= 16:
            sound = _sound(body)
    raise ValueError("no samples")


def _sound(body: bytes) -> Sound:
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if form not in {PCM, _EXTENSIBLE} or bits != 8 * _SAMPLE or not channels or not rate:
        raise ValueError("no samples of 16 bits")
    return Sound(rate, channels)


class WavFile:
    """Writes a WAV file that players accept at any time, killed or complete.

    Args:
        file: Where to, unbuffered; sizes are set right at the end if it can be wound back.
        sound: What is written.
    """

    def __init__(self, file: RawIOBase, sound: Sound) -> None:
        self._file = file
        self._sound = sound
        self._bytes = 0
        self._write(sound.header())

    def write(self, samples: bytes) -> None:
        """Append samples: whole ones of all channels."""
        self._write(samples)
        self._bytes += len(samples)

    def complete(self) -> None:
        """Say in the header how much there is."""
        if self._file.seekable():
            self._file.seek(0)
            self._write(self._sound.header(self._bytes))

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) or 0 :]


class Peak:
    """The loudest sample so far."""

    def __init__(self) -> None:
        self._most = 0

    def take(self, samples: bytes) -> None:
        """Look at more samples."""
        values = array.array("h", samples)
        if sys.byteorder == "big":
            values.byteswap()
        if values:
            highest, lowest = max(values), min(values)
            self._most = max(self._most, highest, -lowest)

    def in_words(self) -> str:
        """Return it as dBFS, or that there was none."""
        if not self._most:
            return "digital silence"
        return f"peak {20 * math.log10(self._most / 32768):.1f} dBFS"
