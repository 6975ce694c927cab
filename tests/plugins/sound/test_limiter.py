"""The soft knee: where it begins, where it ends, and how it grows."""

from __future__ import annotations

import numpy as np
import pytest

from rtpipe import audio
from rtpipe_plugins.sound.limiter import KNEE, limit

RISING = np.arange(-32768, 32768, dtype=np.float32)


def limited(loudest: float) -> np.ndarray:
    samples = RISING * np.float32(loudest)
    limit(samples, loudest)
    return samples


@pytest.mark.parametrize("loudest", [1.01, 2.0, 4.0, 1000.0])
def test_the_loudest_ends_at_full_scale_and_nothing_has_to_be_clipped(loudest: float) -> None:
    out = limited(loudest)
    assert out.max() == pytest.approx(32767, abs=0.1)
    assert np.array_equal(np.rint(out), audio.to_s16(out))
    assert np.all(np.diff(out) >= 0)


def test_below_3_dbfs_nothing_changes_and_there_is_no_corner_at_the_knee() -> None:
    out, sum_ = limited(2.0), RISING * 2
    quiet = np.abs(sum_) <= KNEE
    assert np.array_equal(out[quiet], sum_[quiet])
    assert np.max(np.abs(np.diff(out, 2))) < 0.01


def test_what_was_not_made_louder_stays_to_the_last_bit() -> None:
    for loudest in (0.5, 1.0):
        assert np.array_equal(limited(loudest), RISING * np.float32(loudest))


def test_a_ramp_has_a_factor_for_each_sample() -> None:
    factors = np.linspace(1, 4, 100, dtype=np.float32)[:, None]
    ramped = np.full((100, 2), 32767, np.float32) * factors
    limit(ramped, factors)
    assert np.all(np.abs(ramped - 32767) < 0.1)
