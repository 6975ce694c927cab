"""Audio as events carry it: base64 of 16 bit samples at 24 kHz, or of G.711 at 8 kHz."""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe_realtime_server.session.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MOST_BYTES = 15 * 1024 * 1024
"""OpenAI's bound for the audio of one event."""
_PCM = "audio/pcm"
_MOST_LETTERS = MOST_BYTES // 3 * 4
_SEGMENTS = 8
_STEPS = 16


def rate_of(audio_format: Mapping[str, Any]) -> int:
    """Return the sample rate of one of the session's formats (Hz)."""
    rate: int = audio_format.get("rate", 24000 if audio_format["type"] == _PCM else 8000)
    return rate


def decode(encoded: str, audio_format: Mapping[str, Any], path: str) -> NDArray[np.int16]:
    """Return base64 audio as mono samples.

    Raises:
        Rejected: It is not base64, not a whole number of samples, or more than 15 MiB.
    """
    if len(encoded) > _MOST_LETTERS:
        raise Rejected(
            f"Invalid '{path}': at most {MOST_BYTES} bytes of audio fit into an event.",
            code="string_above_max_length",
            param=path,
        )
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected(f"Invalid '{path}'. Expected base64.", param=path) from None
    if audio_format["type"] != _PCM:
        return _levels(audio_format["type"])[np.frombuffer(data, np.uint8)]
    if len(data) % 2:
        raise Rejected(f"Invalid '{path}'. Expected 16 bit samples.", param=path)
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def encode(pcm: NDArray[np.int16], audio_format: Mapping[str, Any]) -> str:
    """Return mono samples of the format's rate as base64."""
    if audio_format["type"] == _PCM:
        return base64.b64encode(pcm.astype("<i2").tobytes()).decode()
    levels = _levels(audio_format["type"])
    codes = np.argsort(levels, kind="stable")
    known = levels[codes].astype(np.int32)
    nearest = np.searchsorted((known[1:] + known[:-1]) / 2, pcm)
    return base64.b64encode(codes[nearest].astype(np.uint8).tobytes()).decode()


@cache
def _levels(kind: str) -> NDArray[np.int16]:
    """Return the sample that each of the 256 codes of G.711 stands for."""
    mu_law = kind == "audio/pcmu"
    code = np.arange(256) ^ (0xFF if mu_law else 0x55)
    segment, step = (code >> 4) & (_SEGMENTS - 1), code & (_STEPS - 1)
    if mu_law:
        size = ((2 * step + 33) << (segment + 2)) - 132
        return np.where(code & 0x80, -size, size).astype(np.int16)
    size = np.where(segment == 0, (2 * step + 1) << 3, (2 * step + 33) << (segment + 2))
    return np.where(code & 0x80, size, -size).astype(np.int16)
