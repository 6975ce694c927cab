"""The header of a RIFF WAVE file of s16 samples, for who sends one and who writes one."""

from __future__ import annotations

import struct

PCM = 1
UNKNOWN = 0xFFFF_FFFF
"""The size of what has no end yet; players read such a file to where it ends."""


def wave_header(rate: int, channels: int, size: int | None = None) -> bytes:
    """Return the 44 bytes before the samples.

    Args:
        rate: Samples a second.
        channels: How many.
        size: Bytes of samples; None, or more than WAV can say: until the file ends.
    """
    known = size is not None and size <= UNKNOWN - 36
    whole, data = (36 + (size or 0), size or 0) if known else (UNKNOWN, UNKNOWN)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", whole, b"WAVE", b"fmt ", 16, PCM, channels, rate),
        *(rate * channels * 2, channels * 2, 16, b"data", data),
    )
