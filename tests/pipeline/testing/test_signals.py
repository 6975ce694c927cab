"""The signals that tests are made of, and how they are cut and joined."""

from typing import Any

import numpy as np
import pytest

from rtpipe import audio
from rtpipe.testing import cut, joined, noise, speech_like, tone


@pytest.mark.parametrize("make", [tone, noise, speech_like])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2)])
def test_signals_have_honest_times_and_the_level_asked_for(
    make: Any, layout: str, channels: int
) -> None:
    frames = make(seconds=1.01, level_dbfs=-25.0, sample_rate=16_000, layout=layout, frame_ms=20)
    previous = None
    for frame in frames:
        audio.check_frame(frame, previous)
        previous = frame
    data = joined(frames)
    assert data.shape == (16_160, channels)
    assert [frame.samples for frame in frames[-2:]] == [320, 160]
    whole = audio.from_pcm(data, sample_rate=16_000, pts=0)
    assert audio.level_dbfs(whole) == pytest.approx(-25.0, abs=0.1)
    again = make(seconds=1.01, level_dbfs=-25.0, sample_rate=16_000, layout=layout, frame_ms=7)
    assert np.array_equal(joined(again), data)


def test_a_tone_has_its_frequency() -> None:
    spectrum = np.abs(np.fft.rfft(joined(tone(1000, seconds=1))[:, 0]))
    assert int(np.argmax(spectrum)) == 1000


def test_cut_takes_sizes_in_turn() -> None:
    frames = cut(np.arange(10, dtype=np.int16), (1, 3), sample_rate=8000, pts=100)
    assert [f.pts for f in frames] == [100, 101, 104, 105, 108, 109]
    assert [f.samples for f in frames] == [1, 3, 1, 3, 1, 1]
    assert joined(frames)[:, 0].tolist() == list(range(10))
