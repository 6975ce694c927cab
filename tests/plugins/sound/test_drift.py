"""drift: two clocks are kept together for hours, and nobody hears it."""

from __future__ import annotations

import numpy as np
import pytest

from rtpipe_plugins.sound.drift import DriftControl
from rtpipe_plugins.sound.stretcher import Stretcher

RATE = 48_000


def hours_apart(
    ppm: float, hours: float, *, jitter_s: float = 0.0
) -> tuple[DriftControl, list[float]]:
    """Let audio come `ppm` faster than it goes; return the control and what waited each second."""
    control = DriftControl(tolerance_s=0.01)
    random = np.random.default_rng(7)
    step_s, waits_s, seen = 0.1, 0.055, []
    for n in range(round(hours * 3600 / step_s)):
        noise = random.uniform(-jitter_s, jitter_s) if jitter_s else 0.0
        shorten = control.update(waits_s + noise, step_s)
        waits_s += step_s * ((1 + ppm * 1e-6) * (1 - shorten) - 1)
        if n % 10 == 0:
            seen.append(waits_s)
    return control, seen


@pytest.mark.parametrize("ppm", [300.0, -300.0, 45.0])
def test_for_three_hours_what_waits_stays_and_the_drift_is_known(ppm: float) -> None:
    """Uncorrected, 300 ppm would be more than three seconds by then."""
    control, seen = hours_apart(ppm, 3, jitter_s=0.02)
    assert max(abs(each - 0.055) for each in seen) < 0.02
    assert max(abs(each - 0.055) for each in seen[1800:]) < 0.008
    assert control.ppm == pytest.approx(ppm, abs=15)


def test_clocks_that_run_alike_are_left_alone() -> None:
    control = DriftControl(tolerance_s=0.006)
    random = np.random.default_rng(3)
    assert all(
        control.update(0.04 + random.uniform(-0.01, 0.01), 0.02) == 0.0 for _ in range(20_000)
    )
    assert control.ppm == pytest.approx(0, abs=30)


def test_a_jump_is_not_taken_for_drift() -> None:
    control = DriftControl(tolerance_s=0.006)
    for amount_s in (0.04, 0.9, 0.02):
        control.jumped()
        assert all(control.update(amount_s, 0.02) == 0.0 for _ in range(5000))


def test_too_much_drift_is_corrected_as_far_as_nobody_hears() -> None:
    control, _ = hours_apart(5000, 0.1)
    assert abs(control.update(10.0, 0.1)) <= 1e-3
    assert control.ppm is not None
    assert abs(control.ppm) <= 1000


def stretched(data: np.ndarray, shorten: float, *, frame: int = 960) -> np.ndarray:
    stretcher = Stretcher(data.shape[1])
    return np.concatenate(
        [stretcher.stretch(data[i : i + frame], shorten) for i in range(0, len(data), frame)]
    )


def test_nothing_is_touched_until_it_must_be() -> None:
    data = np.random.default_rng(5).integers(-30_000, 30_000, (9600, 2)).astype(np.int16)
    assert np.array_equal(stretched(data, 0.0), data)


@pytest.mark.parametrize("shorten", [3e-4, -1e-3])
def test_a_tone_comes_out_clean_and_a_little_shorter_or_longer(shorten: float) -> None:
    seconds, hz = 10, 4000.0
    at = np.arange(seconds * RATE)
    tone = np.rint(16_000 * np.sin(2 * np.pi * hz * at / RATE)).astype(np.int16)[:, None]
    made = stretched(tone, shorten)[:, 0].astype(float)
    assert len(made) == pytest.approx(len(tone) * (1 - shorten), abs=40)
    part = made[1000:-1000]
    phase = 2 * np.pi * hz * (1 + shorten) * np.arange(len(part)) / RATE
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, part, rcond=None)[0]
    assert 10 * np.log10(np.mean(fitted**2) / np.mean((part - fitted) ** 2)) > 70


def test_where_the_stretching_begins_nothing_is_lost_or_said_twice() -> None:
    at = np.arange(48_000)
    tone = np.rint(10_000 * np.sin(2 * np.pi * 300 * at / RATE)).astype(np.int16)[:, None]
    stretcher = Stretcher(1)
    made = np.concatenate(
        [
            stretcher.stretch(tone[i : i + 960], 0.0 if i < 24_000 else 5e-4)
            for i in range(0, 48_000, 960)
        ]
    )
    steepest = 10_000 * 2 * np.pi * 300 / RATE * 1.02
    assert np.abs(np.diff(made[:, 0].astype(int))).max() <= steepest
