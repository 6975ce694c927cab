"""Formats of the audio in events: PCM of any rate, and G.711 (µ-law and A-law), to 24 kHz and back.

What a server shows of its session counts, and not what it was asked for: µ-law that is taken for
PCM is noise at full scale, and a rate that is wrong is another speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from rtpipe import AudioFormat, Converter, audio
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from rtpipe import AudioFrame

Direction: TypeAlias = Literal["input", "output"]
"""Whose voice: the visitor's or the model's."""

RATE = 24_000
"""Hz of the PCM that the Realtime API has by default, and of all that is played here."""
_WIDTH = 2  # bytes in a sample
_TELEPHONE_RATE = 8000
_LOWEST, _HIGHEST = 4000, 192_000  # Hz
_CODES = 256
_BETA = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
"""What the beta called them."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One format, mono. PCM is s16 in little-endian order.

    Attributes:
        type: Its name in the session object.
        rate: Hz.
    """

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = RATE

    def __str__(self) -> str:
        return f"{self.type} of {self.rate} Hz"

    @property
    def width(self) -> int:
        """Bytes in a sample."""
        return _WIDTH if self.type == "audio/pcm" else 1

    @property
    def plain(self) -> bool:
        """Whether nothing is to be converted."""
        return self == PLAIN


PLAIN = WireFormat()


class UnknownFormat(ValueError):  # noqa: N818 - what it is
    """Audio in a format that cannot be read here."""


def wire_format(shown: Any) -> WireFormat:
    """Return the format that a session object shows.

    Args:
        shown: What stands under `format`: an object, or a name where the server is of the beta.

    Raises:
        UnknownFormat: It is none of those that are known here; its text shows what it is.
    """
    given = {"type": _BETA.get(shown, shown)} if isinstance(shown, str) else shown
    if isinstance(given, dict) and given.get("channels") in (None, 1):
        rate = given.get("rate")
        match given.get("type"):
            case "audio/pcm" if rate is None:
                return PLAIN
            case "audio/pcm" if isinstance(rate, int | float) and _LOWEST <= rate <= _HIGHEST:
                return WireFormat("audio/pcm", round(rate))
            case "audio/pcmu" | "audio/pcma" as law if rate in (None, _TELEPHONE_RATE):
                return WireFormat(law, _TELEPHONE_RATE)
    raise UnknownFormat(_words(shown))


def shown_format(session: Mapping[str, Any], direction: Direction) -> WireFormat | None:
    """Return the format of one direction in a session object; None where it shows none.

    Raises:
        UnknownFormat: See `wire_format`.
    """
    shown = object_of(object_of(session, "audio"), direction).get("format")
    return None if shown is None else wire_format(shown)


class Decoder:
    """Turns the audio of one content part, as it comes in pieces, into PCM of 24 kHz.

    Args:
        wire: What it comes in.
    """

    def __init__(self, wire: WireFormat) -> None:
        self.wire = wire
        self._split = b""
        self._resampler = _Resampler(wire.rate, RATE)

    def take(self, data: bytes) -> bytes:
        """Return what `data` makes complete, whole samples of s16."""
        if self.wire.type != "audio/pcm":
            return self._resampler.take(_levels(self.wire.type)[np.frombuffer(data, np.uint8)])
        data = self._split + data if self._split else data
        whole = len(data) // _WIDTH * _WIDTH
        self._split = data[whole:]
        if self.wire.plain:
            return data[:whole] if self._split else data
        return self._resampler.take(np.frombuffer(data[:whole], "<i2"))

    def finish(self) -> bytes:
        """Return what is still held: nothing more comes."""
        return self._resampler.finish()


class Encoder:
    """Turns the visitor's PCM of 24 kHz into what the server hears.

    Args:
        wire: What that is.
    """

    def __init__(self, wire: WireFormat) -> None:
        self.wire = wire
        self._resampler = _Resampler(RATE, wire.rate)

    def take(self, pcm: bytes) -> bytes:
        """Return what `pcm`, whole samples of s16, makes complete."""
        if self.wire.plain:
            return pcm
        samples = self._resampler.take(np.frombuffer(pcm, np.int16))
        if self.wire.type == "audio/pcm":
            return samples
        levels = _levels(self.wire.type)
        codes = np.argsort(levels, kind="stable")
        known = levels[codes].astype(np.int32)
        nearest = np.searchsorted((known[1:] + known[:-1]) / 2, np.frombuffer(samples, np.int16))
        return codes[nearest].astype(np.uint8).tobytes()


class _Resampler:
    """Mono s16 from one rate to another, in pieces of any length."""

    def __init__(self, rate: int, wanted: int) -> None:
        self._rate = rate
        self._converter = Converter(AudioFormat(wanted, "mono", "s16"))
        self._taken = 0

    def take(self, samples: NDArray[np.int16]) -> bytes:
        """Return what can be told already."""
        if not len(samples):
            return b""
        frame = audio.from_pcm(
            np.ascontiguousarray(samples, np.int16), sample_rate=self._rate, pts=self._taken
        )
        self._taken += len(samples)
        return _joined(self._converter.process(frame))

    def finish(self) -> bytes:
        """Return the rest."""
        return _joined(self._converter.finish())


def _joined(frames: Iterable[AudioFrame]) -> bytes:
    return b"".join(audio.pcm(frame).tobytes() for frame in frames)


@cache
def _levels(law: str) -> NDArray[np.int16]:
    """Return the sample that each of the 256 codes of G.711 stands for."""
    mu_law = law == "audio/pcmu"
    code = np.arange(_CODES) ^ (0xFF if mu_law else 0x55)
    segment, step = (code >> 4) & 7, code & 15
    if mu_law:
        size = ((2 * step + 33) << (segment + 2)) - 132
        return np.where(code & 0x80, -size, size).astype(np.int16)
    size = np.where(segment == 0, (2 * step + 1) << 3, (2 * step + 33) << (segment + 2))
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _words(shown: Any) -> str:
    if isinstance(shown, str):
        return shown
    if not isinstance(shown, dict):
        return repr(shown)
    name, rate, channels = (shown.get(key) for key in ("type", "rate", "channels"))
    more = [f"{rate} Hz" if rate is not None else "", f"{channels} channels" if channels else ""]
    return " ".join(filter(None, [str(name), *more]))
