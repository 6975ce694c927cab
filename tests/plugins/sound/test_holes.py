"""Silence where a stream has a hole."""

from __future__ import annotations

import numpy as np
import pytest

from rtpipe import audio
from rtpipe_plugins.sound.holes import GapFiller


def tone(pts: int, samples: int = 100, rate: int = 8000) -> audio.AudioFrame:
    return audio.from_pcm(np.full((samples, 2), 7, np.int16), sample_rate=rate, pts=pts)


def test_a_hole_becomes_as_much_silence_and_the_first_frame_is_the_beginning() -> None:
    filler = GapFiller()
    parts = [part for pts in (500, 600, 850) for part in filler.filled(tone(pts))]
    out = np.concatenate(parts)
    assert out.shape == (450, 2)
    assert np.array_equal(np.flatnonzero(out[:, 0] == 0), np.arange(200, 350))


def test_a_long_hole_is_never_held_at_once() -> None:
    filler = GapFiller()
    list(filler.filled(tone(0)))
    sizes = [len(part) for part in filler.filled(tone(100 + 20_500))]
    assert sizes == [8000, 8000, 4500, 100]


def test_what_overlaps_is_no_hole() -> None:
    filler = GapFiller()
    list(filler.filled(tone(0)))
    assert [len(part) for part in filler.filled(tone(50))] == [100]


@pytest.mark.parametrize(("format", "silent"), [("u8", 128), ("s32", 0), ("flt", 0)])
def test_silence_is_what_the_format_calls_so(format: str, silent: int) -> None:
    filler = GapFiller()
    for pts in (0, 20):
        parts = list(filler.filled(audio.silence(10, pts=pts, format=format)))
    assert parts[0].dtype == parts[1].dtype
    assert np.all(parts[0] == silent)
    assert np.array_equal(parts[0], parts[1])
