"""Speech that is made shorter or longer keeps its pitch and clicks nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import sound
from rtpipe_webrtc.time_scale import stretched


def steps(pcm: np.ndarray) -> float:
    return float(np.abs(np.diff(pcm.astype(float))).max())


@pytest.mark.parametrize("hz", [130.0, 150.0, 220.0, 390.0, 440.0, 1000.0])
@pytest.mark.parametrize("surplus", [400, 480, -200])
def test_a_tone_loses_whole_periods(hz: float, surplus: int) -> None:
    tone = sound.tone(1.0, hz=hz)
    frames = [tone[at : at + 960] for at in range(0, 48_000, 960)]
    frames[20] = stretched(frames[20], surplus)
    changed = 960 - len(frames[20])
    assert 120 <= abs(changed) <= 480
    assert (changed > 0) == (surplus > 0)
    if surplus > 0:
        assert changed <= surplus
    heard = np.concatenate(frames)
    assert steps(heard) < steps(tone) * 1.2
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    place = round(hz * len(heard) / 48_000)
    assert spectrum[place - 5 : place + 6].sum() / spectrum.sum() > 0.99


def test_silence_is_cut_by_what_is_asked_for() -> None:
    assert len(stretched(np.zeros(960, np.int16), 200)) == 760
    assert len(stretched(np.zeros(960, np.int16), 4000)) == 480
    assert len(stretched(np.zeros(960, np.int16), -1)) == 1440


def test_noise_has_no_period_and_stays() -> None:
    noise = np.random.default_rng(2).normal(0, 5000, 960).astype(np.int16)
    assert stretched(noise, 400) is noise
    assert stretched(noise, -400) is noise


@pytest.mark.parametrize("surplus", [0, 1, 119])
def test_too_little_to_do_is_not_done(surplus: int) -> None:
    tone = sound.tone(0.02)
    assert stretched(tone, surplus) is tone


def test_a_short_frame_stays() -> None:
    tone = sound.tone(0.01)
    assert stretched(tone, 400) is tone


@pytest.mark.parametrize("surplus", [*range(120, 481, 17), 239, 240])
def test_any_surplus_is_cut_by_a_period_that_fits_into_it(surplus: int) -> None:
    tone = sound.tone(0.02, hz=400.0)
    assert len(tone) - len(stretched(tone, surplus)) in range(120, surplus + 1)
