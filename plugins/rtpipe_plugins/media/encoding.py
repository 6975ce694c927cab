"""Writing audio files: which container and codec, and so that a kill does little harm."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, cast

from rtpipe import audio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from av import AudioLayout
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

_MAX_WAV_BYTES = 0xFFFF_FFFF - 60
_WAV_SPEAKERS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC"),
    *("SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
"""Bit by bit, of the mask that says which channels a WAV file has."""
_WAV_PCM = bytes.fromhex("0100000000001000800000aa00389b71")


def write_errors() -> tuple[type[Exception], ...]:
    """Return what a `Writer` raises when it cannot write."""
    from av.error import FFmpegError

    return OSError, ValueError, FFmpegError


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file is written.

    Attributes:
        format: FFmpeg's name of the container.
        codec: FFmpeg's name of the encoder.
        options: FFmpeg's options of the container: those that let a killed recording be read.
        many_tracks: Whether the container holds several tracks.
        max_bytes: How large such a file may become, about; None: as large as the disk.
    """

    format: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    many_tracks: bool = False
    max_bytes: int | None = None

    @property
    def block(self) -> int:
        """Samples that files which are to join must be a multiple of."""
        return _BLOCKS.get(self.codec, 1)

    def sample_rates(self) -> list[int] | None:
        """Return the sample rates (Hz) the encoder takes; None: any."""
        if self.codec in _RATES or self.codec.startswith("pcm_"):
            return _RATES.get(self.codec)
        import av

        rates = av.Codec(self.codec, "w").audio_rates
        return sorted(rates) if rates else None

    def layout_for(self, layout: str, sample_rate: int) -> str:
        """Return the layout that audio is written in: its own, if the encoder takes it.

        Else one of as many channels, else stereo.

        Args:
            layout: By FFmpeg's name.
            sample_rate: Hz.
        """
        import av

        channels = av.AudioLayout(layout).nb_channels
        if channels <= 2 or self._takes(layout, sample_rate):
            return layout
        alike = (name for name in _LAYOUTS if av.AudioLayout(name).nb_channels == channels)
        return next((name for name in alike if self._takes(name, sample_rate)), "stereo")

    def _takes(self, layout: str, sample_rate: int) -> bool:
        """Return whether the encoder opens so: FFmpeg has no list that says it of all encoders."""
        import av
        from av.error import FFmpegError

        encoder = cast("AudioCodecContext", av.CodecContext.create(self.codec, "w"))
        encoder.layout = layout
        encoder.sample_rate = sample_rate
        formats = encoder.codec.audio_formats
        encoder.format = formats[0] if formats else "s16"
        try:
            encoder.open()
        except (FFmpegError, ValueError):
            return False
        return True


_LAYOUTS = ("3.0", "quad", "5.0", "5.1", "6.1", "7.1", "hexadecagonal")
"""Those that encoders take which do not take every one."""
_MATROSKA = {"cluster_time_limit": "200"}
_OGG = {"page_duration": "200000"}
# Fragments, so that a kill leaves a file; a complete one becomes an ordinary MP4, whose edit list
# (which readers heed in no other kind) takes the encoder's priming away. `delay_moov`: without it
# there is no edit list, and a file without audio crashes FFmpeg.
_MP4 = {
    "movflags": "hybrid_fragmented+delay_moov+default_base_moof",
    "frag_duration": "200000",
}
_BY_ENDING = {
    "wav": Encoding("wav", "pcm_s16le", max_bytes=4_000_000_000),
    "flac": Encoding("flac", "flac"),
    "ogg": Encoding("ogg", "libopus", _OGG),
    "opus": Encoding("ogg", "libopus", _OGG),
    "mka": Encoding("matroska", "libopus", _MATROSKA, many_tracks=True),
    "mkv": Encoding("matroska", "libopus", _MATROSKA, many_tracks=True),
    "webm": Encoding("webm", "libopus", _MATROSKA, many_tracks=True),
    "mp3": Encoding("mp3", "libmp3lame"),
    "m4a": Encoding("mp4", "aac", _MP4),
    "mp4": Encoding("mp4", "aac", _MP4),
    "aac": Encoding("adts", "aac"),
}
ENDINGS = ", ".join(f".{ending}" for ending in _BY_ENDING)
"""For people: the endings of files that can be written."""
_RATES: dict[str, list[int] | None] = {
    "flac": None,
    "libopus": [8000, 12_000, 16_000, 24_000, 48_000],
    "libmp3lame": [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000],
    "aac": [
        *(7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000),
        *(32_000, 44_100, 48_000, 64_000, 88_200, 96_000),
    ],
}
"""What FFmpeg says of the encoders above: to look at a file is not to load FFmpeg."""
_BLOCKS = {"aac": 1024}
"""Samples that FFmpeg's readers always take whole, whatever the file says of the last ones."""
_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame", "pcm": "pcm_s16le"}
"""What users call codecs, where FFmpeg's encoder has another name."""


def find_encoding(path: Path, format: str | None = None, codec: str | None = None) -> Encoding:
    """Return how to write `path`.

    Args:
        path: Its ending says what it is.
        format: A file ending, without the dot, that stands in for the path's own.
        codec: `opus`, `flac`, `pcm`, `mp3`, `aac` or any encoder's name in FFmpeg.

    Raises:
        ValueError: There is no such format or codec.
    """
    ending = format or path.suffix.removeprefix(".").lower()
    encoding = _BY_ENDING.get(ending)
    if encoding is None:
        what = ending or "a file without an ending"
        raise ValueError(f"cannot write {what}: the ending can be {ENDINGS}")
    if codec is None:
        return encoding
    name = _ENCODERS.get(codec, codec)
    if name not in _RATES and name not in _ENCODERS.values():
        import av

        try:
            av.Codec(name, "w")
        except ValueError:
            raise ValueError(f"FFmpeg has no encoder {codec}: opus, flac, pcm, mp3, aac?") from None
    if encoding.format == "wav" and name != encoding.codec:
        raise ValueError("a WAV file holds pcm; for other codecs use the ending .mka")
    return replace(encoding, codec=name)


class Writer(Protocol):
    """A file that is being written; blocking."""

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append the same number of samples to every track, shape (samples, channels) each."""

    def close(self) -> None:
        """Complete the file."""


class WavWriter:
    """A WAV file that is complete after every write: its header is written anew each time."""

    def __init__(self, path: Path, sample_rate: int, layout: str) -> None:
        import av

        self._rate = sample_rate
        self._channels = av.AudioLayout(layout).nb_channels
        self._mask = _wav_mask(av.AudioLayout(layout))
        self._bytes = 0
        self._file = path.open("wb", buffering=0)
        try:
            self._file.write(self._header())
        except OSError:
            self._file.close()
            raise

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append samples to the one track."""
        (data,) = tracks
        if self._bytes + data.nbytes > _MAX_WAV_BYTES:
            raise OSError("a WAV file holds 4 GiB at most; .mka and .flac have no such limit")
        rest = data.reshape(-1).view("u1").data
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):  # what was written counts as lost: it must not be heard
                os.ftruncate(self._file.fileno(), len(self._header()) + self._bytes)
            raise
        self._bytes += data.nbytes
        os.pwrite(self._file.fileno(), self._header(), 0)

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def _header(self) -> bytes:
        width = 2 * self._channels
        form = struct.pack("<HHIIHH", 1, self._channels, self._rate, self._rate * width, width, 16)
        if self._channels > 2:  # then a header says which they are: WAVEFORMATEXTENSIBLE
            form = b"\xfe\xff" + form[2:] + struct.pack("<HHI16s", 22, 16, self._mask, _WAV_PCM)
        return struct.pack(
            f"<4sI4s4sI{len(form)}s4sI",
            *(b"RIFF", 20 + len(form) + self._bytes, b"WAVE"),
            *(b"fmt ", len(form), form, b"data", self._bytes),
        )


def _wav_mask(layout: AudioLayout) -> int:
    """Return the channels of a layout as a WAV file's mask; 0 where it has no words for them."""
    names = [channel.name for channel in layout.channels]
    known = [name for name in _WAV_SPEAKERS if name in names]
    return sum(1 << _WAV_SPEAKERS.index(name) for name in names) if names == known else 0


class ContainerWriter:
    """A file written by FFmpeg, every packet handed to the system at once.

    Args:
        path: Where.
        encoding: How.
        sample_rate: Of every track (Hz).
        layout: Of every track.
        titles: One for each track.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        sample_rate: int,
        layout: str,
        titles: Sequence[str] = ("",),
    ) -> None:
        import av

        self._rate = sample_rate
        self._layout = layout
        self._pts = 0
        self._container = av.open(
            str(path),
            "w",
            format=encoding.format,
            # Without random identifiers: the same audio makes the same file.
            options={"flush_packets": "1", "fflags": "+bitexact", **encoding.options},
        )
        self._streams: list[AudioStream] = []
        for title in titles:
            stream = self._container.add_stream(encoding.codec, rate=sample_rate, layout=layout)
            if title:
                stream.metadata["title"] = title
            self._streams.append(cast("AudioStream", stream))
        self._container.start_encoding()

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        """Append the same number of samples to every track."""
        for stream, data in zip(self._streams, tracks, strict=True):
            frame = audio.from_pcm(data, sample_rate=self._rate, pts=self._pts, layout=self._layout)
            self._container.mux(stream.encode(frame))
        self._pts += len(tracks[0])

    def close(self) -> None:
        """Write what the encoders hold and complete the file."""
        try:
            for stream in self._streams:
                self._container.mux(stream.encode(None))
        finally:
            self._container.close()


def open_writer(
    path: Path,
    encoding: Encoding,
    sample_rate: int,
    layout: str,
    titles: Sequence[str] = ("",),
) -> Writer:
    """Open `path` for writing, one track for each title."""
    if encoding.format == "wav":
        return WavWriter(path, sample_rate, layout)
    return ContainerWriter(path, encoding, sample_rate, layout, titles)
