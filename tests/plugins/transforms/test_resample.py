"""resample: the format and the frame length asked for, given by the runtime's converter."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rtpipe import AudioFormat, AudioFrame, audio
from rtpipe.testing import check_stage, run_stage, run_virtual, tone
from rtpipe_plugins.transforms.resample import Resample, ResampleOptions


def resampled(options: dict[str, Any], frames: list[AudioFrame]) -> list[AudioFrame]:
    return run_virtual(run_stage(Resample, options, frames)).frames


@pytest.mark.parametrize(
    "options",
    [{}, {"sample_rate": 16_000}, {"sample_rate": 8000, "layout": "stereo", "frame_ms": 30}],
    ids=str,
)
def test_it_keeps_the_contract_to_the_last_bit(options: dict[str, Any]) -> None:
    check_stage(Resample, options, tolerance=0)


def test_the_format_asked_for_comes_out_and_the_tone_stays() -> None:
    options = {"sample_rate": 16_000, "layout": "stereo", "format": "flt"}
    frames = resampled(options, list(tone(1000, seconds=1)))
    assert {AudioFormat.of(frame) for frame in frames} == {AudioFormat(16_000, "stereo", "flt")}
    x = np.concatenate([audio.samples(frame) for frame in frames])
    assert len(x) == 16_000
    assert int(np.argmax(np.abs(np.fft.rfft(x[:, 0])))) == 1000


def test_frames_have_the_length_asked_for_and_the_last_one_is_filled() -> None:
    frames = resampled({"frame_ms": 30}, list(tone(seconds=0.1)))
    assert [frame.samples for frame in frames] == [1440] * 4
    assert [frame.pts for frame in frames] == [0, 1440, 2880, 4320]
    assert not audio.pcm(frames[-1])[480:].any()


def test_planar_frames_are_cut_too() -> None:
    planar = [audio.silence(960, pts=at, layout="stereo", format="fltp") for at in (0, 960)]
    assert [frame.samples for frame in resampled({"frame_ms": 5}, planar)] == [240] * 8


def test_a_planar_format_cannot_be_cut() -> None:
    with pytest.raises(ValidationError, match="packed format: flt"):
        ResampleOptions(format="fltp", frame_ms=20)
