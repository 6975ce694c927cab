"""Sound files to play: whole ones in many formats, odd but legal ones, and damaged ones."""

from __future__ import annotations

import functools
import io
import random
import struct
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
CODECS = {
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "aac": ("adts", "aac"),
    "m4a": ("mp4", "aac"),
    "alac.m4a": ("mp4", "alac"),
    "ac3": ("ac3", "ac3"),
    "ogg": ("ogg", "libopus"),
    "mka": ("matroska", "flac"),
    "ts": ("mpegts", "aac"),
}
"""By the ending of the name: container and encoder."""
EXACT = ("wav", "flac", "alac.m4a", "mka")
"""Lossless, and as long as what went in."""
DECLARING = ("wav", "flac", "m4a", "alac.m4a", "mka")
"""They say how long they are, so that it can be told what is missing."""
_HEADER = 4096
"""What is damaged lies behind it, so that most files still open."""


def noise(
    seconds: float, *, channels: int = 1, rate: int = RATE, seed: int = 0
) -> NDArray[np.int16]:
    """Return s16 noise, shape (samples, channels)."""
    made = np.random.default_rng(seed).integers(-3000, 3000, (round(seconds * rate), channels))
    return made.astype(np.int16)


@functools.cache
def encoded(ending: str, ms: int, rate: int = RATE, jump_s: int = 0) -> bytes:
    """Return a file of stereo noise; in its middle the time stamps jump by `jump_s`."""
    container, codec = CODECS[ending]
    target = io.BytesIO()
    data = noise(ms / 1000, channels=2, rate=rate)
    with av.open(target, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout="stereo",
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1152,
        )
        frame = av.AudioFrame.from_ndarray(data.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        packets = []
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            packets += stream.encode(part)
        for number, packet in enumerate(packets):
            if jump_s and number > len(packets) // 2 and packet.pts is not None:
                shift = round(jump_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, (packet.dts or 0) + shift
            out.mux(packet)
    return target.getvalue()


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Return `whole` with bytes flipped, left out, doubled, or cut off."""
    data = bytearray(whole)
    begin = min(_HEADER, len(data) // 3)
    for _ in range(rng.randint(1, 12)):
        match rng.choice(("flip", "flip", "flip", "zeros", "hole", "copy")):
            case "flip":
                for _ in range(rng.randint(1, 20)):
                    data[rng.randrange(begin, len(data))] ^= rng.randrange(1, 256)
            case "zeros":
                at = rng.randrange(begin, len(data))
                data[at : at + 200] = bytes(len(data[at : at + 200]))
            case "hole":
                at = rng.randrange(begin, len(data))
                del data[at : at + rng.randint(1, 500)]
            case "copy":
                at = rng.randrange(begin, len(data))
                data[at:at] = data[at : at + rng.randint(1, 500)]
        if len(data) < begin + 1000:
            break
    if rng.random() < 0.3:
        del data[rng.randrange(begin, len(data)) :]
    return bytes(data)


def wav(data: NDArray[np.int16], rate: int = RATE, tag: bytes = b"") -> bytes:
    """Return a WAV file of any number of channels, with a title of any bytes."""
    channels, sound = data.shape[1], data.tobytes()
    info = b""
    if tag:
        tag += b"\0" * (2 - len(tag) % 2)
        inner = b"INFOINAM" + struct.pack("<I", len(tag)) + tag
        info = b"LIST" + struct.pack("<I", len(inner)) + inner
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + info
    body += b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body


def latin1_mp3(ms: int) -> bytes:
    """Return an mp3 whose ID3 title claims UTF-8 and is not."""
    text = b"\x03caf\xe9 \xff\xfe"
    frame = b"TIT2" + struct.pack(">I", len(text)) + b"\0\0" + text
    return b"ID3\x04\0\0" + struct.pack(">I", len(frame)) + frame + encoded("mp3", ms)


def chained_ogg(ms: int) -> bytes:
    """Return two Ogg streams, one behind the other."""
    return encoded("ogg", ms) + encoded("ogg", ms // 2)


def restarted_ts(ms: int) -> bytes:
    """Return a transport stream whose clock starts again in its middle."""
    return encoded("ts", ms) + encoded("ts", ms)
