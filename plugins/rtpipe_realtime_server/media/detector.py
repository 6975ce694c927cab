"""Voice activity detection (VAD): WebRTC's, kept from tones, steady noise and near silence."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP = 512
"""Samples of 16 kHz in a hop: 32 ms, as in OpenAI's recorded positions."""
HOP_MS = 32

IsSpeech = Callable[["NDArray[np.int16]", float], bool]
"""Judges one hop with a threshold from 0 to 1."""

_SUB_FRAME = 160
_MODE = 2
_FLOOR_DBFS = -50.0
_DIGITAL_SILENCE_DBFS = -75.0
_ABOVE_NOISE_DB = 8.0
_NOISE_HOPS = 94  # 3 s: longer than anybody speaks without a gap
_NOISE_KNOWN_HOPS = 31  # the quietest hop of less than 1 s may be the loudest word
_NOISE_KNOWN_BESIDE_ZEROS_HOPS = 62  # of what came before them only the loud end may be left
_TONE_SHARE = 0.99
_TONE_BINS = 3
_FLATNESS = 0.4


class SpeechDetector:
    """Judges hops of a stream, in order.

    webrtcvad alone calls two tones together, hum and loud noise speech for ever (measured). So a
    hop must also rise above the room (the quietest hop of the last 3 s, a muted microphone's zeros
    left out), must not keep its energy in one or two spectral lines, and must not be flat.
    """

    def __init__(self) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(_MODE)
        self._rest = np.zeros(0, np.int16)
        self._levels: deque[float] = deque(maxlen=_NOISE_HOPS)
        self._window = np.hanning(HOP)

    def __call__(self, hop: NDArray[np.int16], threshold: float) -> bool:
        """Return whether `hop` (512 samples, mono, 16 kHz) is speech.

        Args:
            hop: The next hop.
            threshold: Share of the hop that WebRTC's detector must call speech.
        """
        share = self._speech_share(hop)
        samples = hop.astype(np.float64)
        level = 10 * float(np.log10(np.mean(samples**2) / 32768**2 + 1e-12))
        floor = self._floor(level)
        if share == 0.0 or share < threshold or level < floor:
            return False
        return self._is_voice_shaped(samples)

    def _speech_share(self, hop: NDArray[np.int16]) -> float:
        samples = np.concatenate([self._rest, hop])
        count = len(samples) // _SUB_FRAME
        self._rest = samples[count * _SUB_FRAME :]
        frames = samples[: count * _SUB_FRAME].reshape(count, _SUB_FRAME)
        speech: int = sum(self._vad.is_speech(frame.tobytes(), 16000) for frame in frames)
        return speech / count

    def _floor(self, level: float) -> float:
        # Zeros tell nothing of the room, but time passes: else the room would be the last speech.
        self._levels.append(level if level > _DIGITAL_SILENCE_DBFS else math.inf)
        known = [each for each in self._levels if each < math.inf]
        since_zeros = next(
            (n for n, each in enumerate(reversed(self._levels)) if each == math.inf), len(known)
        )
        if since_zeros < _NOISE_KNOWN_HOPS and len(known) < _NOISE_KNOWN_BESIDE_ZEROS_HOPS:
            return _FLOOR_DBFS
        return max(_FLOOR_DBFS, min(known) + _ABOVE_NOISE_DB)

    def _is_voice_shaped(self, samples: NDArray[np.float64]) -> bool:
        power = np.abs(np.fft.rfft(samples * self._window)) ** 2 + 1e-9
        body = power[_TONE_BINS:]
        if np.exp(np.mean(np.log(body))) / np.mean(body) > _FLATNESS:
            return False
        total = power.sum()
        lines = 0.0
        for _ in range(2):
            peak = int(power.argmax())
            line = slice(max(peak - _TONE_BINS, 0), peak + _TONE_BINS + 1)
            lines += power[line].sum()
            power[line] = 0.0
        return bool(lines / total < _TONE_SHARE)
