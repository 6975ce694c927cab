"""What makes a stream of sound of samples: RIFF WAVE as it is, or MP3."""

from __future__ import annotations

from typing import Literal, Protocol

from rtpipe import AudioFormat, audio
from rtpipe_control.wave import wave_header

Form = Literal["wav", "mp3"]

_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_MP3_SAMPLES = 1152


class Encoder(Protocol):
    """Makes bytes of samples.

    Attributes:
        slow: Whether it takes longer than there is time for beside the audio.
    """

    slow: bool

    def head(self) -> bytes:
        """Return what a stream begins with."""
        ...

    def encode(self, data: bytes) -> bytes:
        """Return what becomes of interleaved s16 samples; perhaps nothing yet."""
        ...


def encoder(form: Form, sample_rate: int, channels: int) -> Encoder:
    """Return what makes a stream of that form."""
    made = WavEncoder if form == "wav" else Mp3Encoder
    return made(sample_rate, channels)


class WavEncoder:
    """RIFF WAVE of a length that nobody knows yet: the sizes are as large as can be.

    Args:
        sample_rate: Hz.
        channels: How many.
    """

    slow = False

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._channels = channels

    def head(self) -> bytes:
        """Return the header."""
        return wave_header(self._rate, self._channels)

    def encode(self, data: bytes) -> bytes:
        """Return the samples as they are."""
        return data


class Mp3Encoder:
    """MP3 at 96 kbit/s a channel, which the audio element of any browser plays as it comes.

    No packet needs those before it (no bit reservoir): who comes later hears from the next one on.

    Args:
        sample_rate: Hz; the codec gets the next one that it knows.
        channels: 1 or 2.
    """

    slow = True

    def __init__(self, sample_rate: int, channels: int) -> None:
        import av

        layout = "mono" if channels == 1 else "stereo"
        rate = next((each for each in _MP3_RATES if each >= sample_rate), _MP3_RATES[-1])
        self._format = AudioFormat(sample_rate, layout, "s16")
        self._codec = av.CodecContext.create("libmp3lame", "w")
        self._codec.sample_rate = rate
        self._codec.layout = layout
        self._codec.format = "s16p"
        self._codec.bit_rate = (96_000 if rate >= 32_000 else 64_000) * channels
        self._codec.options = {"reservoir": "0"}
        self._resampler = av.AudioResampler("s16p", layout, rate, _MP3_SAMPLES)
        self._pts = 0
        self._channels = channels

    def head(self) -> bytes:
        """Return nothing: a decoder finds the next frame by itself."""
        return b""

    def encode(self, data: bytes) -> bytes:
        """Return the packets that are complete."""
        samples = len(data) // (2 * self._channels)
        frame = audio.from_bytes(data, samples, self._format, pts=self._pts)
        self._pts += samples
        packets = [
            bytes(packet)
            for piece in self._resampler.resample(frame)
            for packet in self._codec.encode(piece)
        ]
        return b"".join(packets)
