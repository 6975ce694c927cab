"""Streams that are aligned: how long one waits for another."""

import numpy as np
import pytest

from rtpipe_plugins.sound.alignment import Aligner

RATE = 48_000


def test_a_silent_voice_holds_the_other_back_for_a_moment_only() -> None:
    aligner = Aligner(2, patience=2 * RATE, grace=RATE // 5)
    held = []
    for n in range(500):
        list(aligner.add(0, n * 960, np.ones(960, np.int16)))
        held.append(((n + 1) * 960 - aligner.given) / RATE)
    assert max(held) == pytest.approx(2.0, abs=0.02)
    assert held[-1] == pytest.approx(0.2, abs=0.001)
