"""delay: late by exactly so many samples, however the stream is cut, holes and all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rtpipe import AudioFrame, audio
from rtpipe.testing import check_stage, cut, joined, noise, run_stage, run_virtual
from rtpipe_plugins.transforms.delay import Delay, DelayOptions


def delayed(delay_ms: float, steps: list[Any]) -> list[AudioFrame]:
    return run_virtual(run_stage(Delay, {"delay_ms": delay_ms}, steps)).frames


@pytest.mark.parametrize("delay_ms", [0, 0.3, 120, 3000])
def test_it_keeps_the_contract_to_the_last_bit(delay_ms: float) -> None:
    check_stage(Delay, {"delay_ms": delay_ms}, tolerance=0)


@settings(max_examples=25, deadline=None)
@given(
    delay=st.integers(0, 5000),
    sizes=st.lists(st.integers(50, 3000), min_size=1, max_size=4),
    channels=st.sampled_from([1, 2]),
)
def test_what_comes_out_is_silence_and_then_what_came_in(
    delay: int, sizes: list[int], channels: int
) -> None:
    data = np.random.default_rng(3).integers(-9999, 9999, (4800, channels)).astype(np.int16)
    frames = delayed(delay / 48, list(cut(data, sizes, pts=700)))
    out = joined(frames)
    assert frames[0].pts == 700
    assert not out[:delay].any()
    assert np.array_equal(out[delay:], data)


def test_each_frame_lets_one_of_its_length_and_time_out() -> None:
    given_in = cut(joined(noise(seconds=0.1)), [960, 441, 1])
    given_out = delayed(50, list(given_in))[: len(given_in)]
    assert [(f.pts, f.samples) for f in given_out] == [(f.pts, f.samples) for f in given_in]


@settings(max_examples=25, deadline=None)
@given(hole=st.integers(1, 4000), delay=st.integers(0, 2000))
def test_a_hole_is_heard_as_late_as_all_else(hole: int, delay: int) -> None:
    data = joined(noise(seconds=0.05))[:, 0]
    first, second = data[:1200], data[1200:]
    frames = delayed(delay / 48, [*cut(first), *cut(second, pts=1200 + hole)])
    line = np.zeros(len(data) + hole + delay, np.int16)
    for frame in frames:
        pts = frame.pts or 0
        line[pts : pts + frame.samples] = audio.pcm(frame)[:, 0]
    assert np.array_equal(line[delay : delay + 1200], first)
    assert not line[delay + 1200 : delay + 1200 + hole].any()
    assert np.array_equal(line[delay + 1200 + hole :], second)


def test_marks_of_speech_do_not_pass_but_the_capture_time_does() -> None:
    frame = cut(np.ones(960, np.int16))[0]
    audio.meta(frame).speech = (True,)
    audio.meta(frame).captured_at = 1.5
    made = delayed(20, [frame])[0]
    assert audio.meta(made).speech is None
    assert audio.meta(made).captured_at == 1.5


def test_a_delay_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError):
        DelayOptions(delay_ms=-1)
