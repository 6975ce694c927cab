"""Sounds for the tests of hearing: something like speech, and what must not be taken for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def level(samples: Samples, dbfs: float) -> Samples:
    rms = np.sqrt(np.mean(samples**2))
    scaled: Samples = samples / rms * 32768 * 10 ** (dbfs / 20)
    return scaled


def pcm(samples: Samples) -> NDArray[np.int16]:
    return np.clip(samples, -32768, 32767).astype(np.int16)


def silence(seconds: float, rate: int) -> Samples:
    return np.zeros(int(seconds * rate))


def tone(hz: float, seconds: float, rate: int) -> Samples:
    sine: Samples = np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return sine


def noise(seconds: float, rate: int, *, tilt: float = 0.0) -> Samples:
    """White noise; `tilt` 0.5 makes it pink, 1 brown."""
    count = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(7).normal(size=count))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** tilt
    return np.fft.irfft(spectrum, count)


def babble(seconds: float, rate: int) -> Samples:
    """Four syllables a second: a gliding glottal pulse train through three formants."""
    count = int(seconds * rate)
    t = np.arange(count) / rate
    phase = np.cumsum(120 * (1 + 0.15 * np.sin(2 * np.pi * 1.3 * t)) / rate)
    pulses = np.zeros(count)
    pulses[np.flatnonzero(np.diff(np.floor(phase)))] = 1.0
    spectrum = np.fft.rfft(pulses)
    hz = np.fft.rfftfreq(count, 1 / rate)
    for formant, width in ((700, 90), (1200, 110), (2600, 160)):
        spectrum = spectrum / (1 - (hz / formant) ** 2 + 1j * hz * width / formant**2)
    voiced = np.fft.irfft(spectrum, count)
    syllables: Samples = voiced * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))
    return syllables
