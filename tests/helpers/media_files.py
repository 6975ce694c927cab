"""Audio files for tests: written without rtpipe, and read without it."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtpipe import AudioFrame


def write_wav(path: Path, data: NDArray[np.int16], sample_rate: int = 48_000) -> Path:
    """Write s16 samples, shape (samples,) or (samples, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if data.ndim == 1 else data.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(data.tobytes())
    return path


def read_wav(path: Path) -> tuple[NDArray[np.int16], int]:
    """Return a WAV file's samples, shape (samples, channels), and its sample rate."""
    with wave.open(str(path), "rb") as file:
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return data.reshape(-1, file.getnchannels()), file.getframerate()


def read_tracks(path: Path) -> list[NDArray[np.float32]]:
    """Return every audio track of a file, shape (samples,) each, mixed to mono, by time stamps."""
    with av.open(str(path)) as container:
        count = len(container.streams.audio)
    return [_track(path, index) for index in range(count)]


def _track(path: Path, index: int) -> NDArray[np.float32]:
    pieces: list[tuple[int, NDArray[np.float32]]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=stream.sample_rate)
        for frame in container.decode(stream):
            assert frame.time is not None
            at = round(frame.time * frame.sample_rate)
            for mono in resampler.resample(frame):
                pieces.append((at, _floats(mono)))
                at += mono.samples
    whole = np.zeros(max((at + len(data) for at, data in pieces), default=0), np.float32)
    for at, data in pieces:
        begin = max(at, 0)
        whole[begin : at + len(data)] = data[begin - at :]
    return whole


def _floats(frame: AudioFrame) -> NDArray[np.float32]:
    return np.frombuffer(frame.planes[0], np.float32)[: frame.samples]


def lag(reference: NDArray[np.floating], heard: NDArray[np.floating]) -> int:
    """Return how many samples later `reference` stands in `heard`, by cross-correlation."""
    size = 1 << (len(reference) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size))
    at = int(np.argmax(np.fft.irfft(spectrum, size)))
    return at if at < size // 2 else at - size


def snr_db(reference: NDArray[np.floating], heard: NDArray[np.floating]) -> float:
    """Return how much louder `reference` is than what `heard` differs from it by (dB)."""
    gain = float(np.dot(reference, heard) / np.dot(reference, reference))
    noise = heard - gain * reference
    power = float(np.dot(noise, noise))
    if power == 0.0:
        return float("inf")
    return 10 * float(np.log10(np.dot(reference, reference) * gain**2 / power))
