"""A server with a script in a process of its own, and what its tones tell in a recording."""

from __future__ import annotations

import json
import wave
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers import latency_room
from helpers.command import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 48_000
BLOCK = RATE // 200
"""5 ms: in such steps sound is told from silence."""
_HEARD = 800  # of 32767; the script's tones have 8192


@dataclass(frozen=True)
class Run:
    """A stretch of sound without a silent block in it.

    Attributes:
        begin: Its first sample.
        end: The sample after its last one.
        hz: The frequency of most of it.
    """

    begin: int
    end: int
    hz: float


@contextmanager
def serving(
    folder: Path, answers_s: Sequence[float], *options: str, think_ms: float = 0
) -> Iterator[str]:
    """Serve a script whose `n`-th answer is `answers_s[n]` long; yields the base URL."""
    turns = [{"think_ms": think_ms, "sound": {"duration_s": length}} for length in answers_s]
    script = folder / "dialog.yaml"
    script.write_text(json.dumps({"turns": turns}))
    command = ("serve-realtime", "--port", "0", "--script", script, *options)
    with running(*command, cwd=folder) as server:
        yield server.wait_for("export OPENAI_BASE_URL=").strip().partition("=")[2]


def voice(seconds: float) -> NDArray[np.int16]:
    """Return what every detector takes for speech; its first sample is loud."""
    spoken = latency_room.voice(seconds)
    return spoken[int(np.flatnonzero(np.abs(spoken) > _HEARD)[0]) :]


def write(path: Path, pcm: NDArray[np.int16]) -> Path:
    """Write a mono WAV file."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm.tobytes())
    return path


def runs(pcm: NDArray[np.int16], begin: int = 0, end: int | None = None) -> list[Run]:
    """Return what sounds in a part of a recording, to the block of 5 ms."""
    part = pcm[begin:end]
    blocks = part[: len(part) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.int32)
    loud = np.abs(blocks).max(axis=1, initial=0) >= _HEARD
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    pairs = zip(edges[::2] * BLOCK + begin, edges[1::2] * BLOCK + begin, strict=True)
    return [Run(int(first), int(last), _hz(pcm[first:last])) for first, last in pairs]


def _hz(pcm: NDArray[np.int16]) -> float:
    size = 1 << 17
    spectrum = np.abs(np.fft.rfft(pcm[:size] * np.hanning(min(len(pcm), size)), size))
    return float(spectrum.argmax() * RATE / size)
