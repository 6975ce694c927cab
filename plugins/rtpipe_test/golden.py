"""Golden sound files: what a stage gave out once, to compare with."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import audio
from rtpipe_test.observing import level_dbfs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rtpipe_test.observing import Heard


def write(path: Path, heard: Heard) -> None:
    """Write what was heard as a WAV file, all of it or nothing.

    Raises:
        OSError: That cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with wave.open(str(part), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(heard.rate or 48_000)
        out.writeframes(_as_s16(heard).tobytes())
    part.replace(path)


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return a sound file's samples, all channels as one, and their rate.

    Raises:
        OSError: It cannot be read.
        ValueError: It has no audio.
    """
    import av

    with av.open(str(path)) as file:
        if not file.streams.audio:
            raise ValueError(f"{path.name} has no audio")
        rate = file.streams.audio[0].rate
        parts = [audio.samples(frame).mean(axis=1) for frame in file.decode(audio=0)]
    return (np.concatenate(parts) if parts else np.zeros(0, np.float32)), rate


def compared(path: Path, heard: Heard, tolerance_db: float) -> str:
    """Return how what was heard differs from a golden file; "" where it does not.

    Args:
        path: The file.
        heard: What was heard.
        tolerance_db: How far the difference stays below the file's level (dB).

    Raises:
        OSError: The file cannot be read.
        ValueError: It has no audio.
    """
    wanted, rate = read(path)
    samples = (_as_s16(heard) / 32768).astype(np.float32)
    if heard.rate != rate:
        return f"{heard.rate or 'no'} samples a second, the file has {rate}"
    if len(samples) != len(wanted):
        return f"{len(samples) / rate:.3f} s, the file has {len(wanted) / rate:.3f} s"
    difference = level_dbfs(samples - wanted)
    below = difference - max(level_dbfs(wanted), -119.0)
    if difference <= -119.0 or below <= tolerance_db:
        return ""
    first = int(np.argmax(np.abs(samples - wanted) > 1e-4)) / rate
    return f"the difference is {-below:.1f} dB below it, first at {first:.3f} s"


def _as_s16(heard: Heard) -> NDArray[np.int16]:
    return audio.to_s16(heard.samples() * 32768.0)
