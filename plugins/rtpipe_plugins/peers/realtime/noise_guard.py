"""Noise guard: what no conversation has does not reach the loudspeaker at full scale.

Audio that is read in the wrong format (µ-law, MP3 or Opus as PCM, half a sample too late, in the
other byte order) is noise near full scale. A voice is not, however loud: even compressed hard its
energy over 40 ms stays below -9 dBFS, and lies in the low frequencies. Music and tones at full
scale have low frequencies too, and pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe import audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

LOUD = (10 ** (-9 / 20) * 32768) ** 2
"""Mean square above which no voice is: -9 dBFS."""
BRIGHT = 0.3
"""Energy of the difference between samples 1/24,000 s apart, as a part of the whole: 2 for white
noise, below 0.1 for a loud voice."""
QUIETER_DB = 24.0
"""By so much noise is turned down; it is to be noticed all the same."""
_LAG_RATE = 24_000
_HOLD_MS = 500.0
_WINDOW_FRAMES = 2


class NoiseGuard:
    """Turns noise down, frame by frame of 20 ms, from its first frame until half a second after it.

    Attributes:
        limited_ms: How much has been turned down.
    """

    def __init__(self) -> None:
        self.limited_ms = 0.0
        self._before = (0.0, 0.0)
        self._hold_ms = 0.0
        self._gain = 1.0

    def take(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame`, as it is or turned down."""
        import numpy as np

        samples = audio.pcm(frame)[:, 0].astype(np.float32)
        if self._is_noise(samples, frame.sample_rate):
            self._hold_ms = _HOLD_MS
        elif not self._hold_ms and self._gain == 1.0:
            return frame
        before, self._gain = self._gain, 10 ** (-QUIETER_DB / 20) if self._hold_ms else 1.0
        gain = self._gain if self._gain < before else np.linspace(before, self._gain, len(samples))
        pcm = (samples * gain).astype(np.int16)
        self.limited_ms += audio.duration_ms(frame)
        self._hold_ms = max(self._hold_ms - audio.duration_ms(frame), 0.0)
        quiet = audio.from_pcm(pcm, sample_rate=frame.sample_rate, pts=frame.pts or 0)
        audio.copy_meta(frame, quiet)
        return quiet

    def _is_noise(self, samples: NDArray[np.float32], rate: int) -> bool:
        """Return whether this frame and the one before it are noise near full scale."""
        energy = float(samples @ samples)
        last_energy, last_rough = self._before
        lag = max(rate // _LAG_RATE, 1)
        rough = 0.0
        if energy >= LOUD * len(samples) / _WINDOW_FRAMES:
            steps = samples[lag:] - samples[:-lag]
            rough = float(steps @ steps)
        self._before = energy, rough
        both = energy + last_energy
        loud = both >= LOUD * _WINDOW_FRAMES * len(samples)
        return loud and rough + last_rough >= BRIGHT * both
