"""The noise guard: what is no voice is turned down, and every voice passes as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from realtime_server import sounds
from rtpipe import audio
from rtpipe_plugins.peers.realtime.noise_guard import QUIETER_DB, NoiseGuard

RATE = 48_000
FRAME = 960


def frames(pcm: np.ndarray) -> list[Any]:
    whole = pcm[: len(pcm) // FRAME * FRAME].astype(np.int16)
    return [
        audio.from_pcm(whole[at : at + FRAME], sample_rate=RATE, pts=at)
        for at in range(0, len(whole), FRAME)
    ]


def full_scale(samples: np.ndarray) -> np.ndarray:
    return samples / np.abs(samples).max() * 32767


def squeezed(samples: np.ndarray) -> np.ndarray:
    """A voice that a compressor has brought to full scale, syllable by syllable."""
    width = RATE // 100
    envelope = np.convolve(np.abs(samples), np.ones(width) / width, "same")
    return full_scale(samples / (envelope + envelope.max() / 30))


def upsampled(data: bytes) -> np.ndarray:
    """Bytes that somebody takes for PCM of 24 kHz, at the rate of a loudspeaker."""
    pcm = np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(float)
    spectrum = np.zeros(len(pcm) + 1, complex)
    spectrum[: len(pcm) // 2 + 1] = np.fft.rfft(pcm)
    return np.clip(np.fft.irfft(spectrum, 2 * len(pcm)) * 2, -32768, 32767)


def rms_db(frame: Any) -> float:
    pcm = audio.pcm(frame)[:, 0].astype(float)
    return float(20 * np.log10(np.sqrt(np.mean(pcm**2)) / 32768 + 1e-9))


VOICE = sounds.babble(2.0, RATE)


@pytest.mark.parametrize(
    "sound",
    [
        full_scale(VOICE),
        squeezed(VOICE),
        full_scale(sounds.tone(440, 1.0, RATE)),
        full_scale(sounds.noise(1.0, RATE, tilt=1.0)),
        sounds.level(sounds.noise(1.0, RATE), -20.0),
        np.zeros(RATE),
    ],
    ids=["voice", "squeezed voice", "tone", "rumble", "soft noise", "silence"],
)
def test_what_may_be_in_a_conversation_passes_as_it_is(sound: np.ndarray) -> None:
    guard = NoiseGuard()
    assert all(guard.take(frame) is frame for frame in frames(sound))
    assert guard.limited_ms == 0.0


SOFT = sounds.level(sounds.babble(2.0, 24_000), -20.0).astype("<i2").tobytes()
MISREAD = {
    "white noise": np.random.default_rng(1).bytes(48_000),
    "compressed audio": np.random.default_rng(2).integers(0, 256, 48_000, np.uint8).tobytes(),
    "half a sample late": SOFT[1:],
    "the other byte order": np.frombuffer(SOFT, "<i2").byteswap().tobytes(),
}


@pytest.mark.parametrize("misread", MISREAD.values(), ids=MISREAD.keys())
def test_audio_that_is_read_wrongly_is_turned_down(misread: bytes) -> None:
    guard = NoiseGuard()
    noise = frames(upsampled(misread))
    heard = [guard.take(frame) for frame in noise]
    assert max(map(rms_db, heard[1:])) < max(map(rms_db, noise)) - QUIETER_DB / 2
    assert max(map(rms_db, heard[1:])) < -9
    assert [f.pts for f in heard] == [f.pts for f in noise]


def test_a_voice_after_the_noise_is_heard_again() -> None:
    guard = NoiseGuard()
    for frame in frames(upsampled(MISREAD["white noise"][: 2 * 24_000 // 5])):
        guard.take(frame)
    for frame in frames(np.zeros(RATE)):
        guard.take(frame)
    turned_down = guard.limited_ms
    assert turned_down == pytest.approx(200 + 500, abs=41)
    assert all(guard.take(frame) is frame for frame in frames(full_scale(VOICE)))
    assert guard.limited_ms == turned_down
