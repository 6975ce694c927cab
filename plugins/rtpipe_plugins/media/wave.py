"""Reading WAV files a second at a time; blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_plugins.media.decoding import is_pcm, open_media

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer

_MAGIC = {b"RIFF", b"RF64", b"BW64"}
_AT_ITS_WORD = {"max_probe_packets": "1", "probesize": "32"}
"""The header is believed: FFmpeg else searches what it calls PCM for other codecs, for 10 ms."""
_LEAST_PACKET, _LARGEST_PACKET = 1 << 10, 1 << 22


def open_wave(path: Path, options: dict[str, str]) -> InputContainer | None:
    """Open a WAV file of PCM, so that a packet holds a second of it; None for any other file.

    FFmpeg's own packets, of about 85 ms, cost ten times as much as what is in them.

    Args:
        path: Of an ordinary file.
        options: FFmpeg's own, which go before these.

    Raises:
        FFmpegError: It cannot be opened.
        OSError: As before, for PyAV's own reasons.
        ValueError: As before.
    """
    with path.open("rb") as file:
        if file.read(4) not in _MAGIC:
            return None
    name = str(path.absolute())
    with open_media(name, options={**_AT_ITS_WORD, **options}) as container:
        streams = container.streams.audio
        if container.format.name != "wav" or not streams or not is_pcm(streams[0]):
            return None
        stereo = streams[0].codec_context.channels == 2
        second = (streams[0].codec_context.bit_rate or 0) // 8
    if stereo:  # which is what DTS and S/PDIF pretend to be
        with open_media(name, options=options) as container:
            if not is_pcm(container.streams.audio[0]):
                return None
    size = min(max(second, _LEAST_PACKET), _LARGEST_PACKET)
    container = open_media(name, options={"max_size": str(size), **_AT_ITS_WORD, **options})
    stream = container.streams.audio[0]
    packet = next(container.demux(stream))
    if packet.size * stream.sample_rate != (packet.duration or 0) * second:
        container.close()  # its header contradicts itself: packets would end within a sample
        return None
    container.seek(0)
    return container
