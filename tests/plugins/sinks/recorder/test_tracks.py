"""Every voice on its own track, under its name; or left and right, or mixed."""

from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

from helpers.media_files import lag, read_tracks, read_wav
from plugins.sinks.recorder.recording import RATE, heard, in_turn, recorded, voice
from rtpipe import StageError
from rtpipe.testing import check_stage
from rtpipe_plugins.sinks.recorder.stage import Recorder, RecorderOptions


@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_stage(Recorder, {"path": tmp_path / "a.mka"})
    check_stage(Recorder, {"path": tmp_path / "a.wav", "overwrite": True, "sidecar": False})


@pytest.mark.parametrize("codec", ["opus", "flac", "pcm"])
def test_each_voice_has_its_track_in_its_place(tmp_path: Path, codec: str) -> None:
    visitor, desk = voice(2.0, 1), voice(1.5, 2)
    arrivals = in_turn(heard(visitor, at_s=3.0), heard(desk, at_s=4.25, pts=123_456))
    recorded(tmp_path / "a.mka", arrivals, codec=codec)
    first, second = read_tracks(tmp_path / "a.mka")
    assert abs(lag(visitor, first)) <= 0.020 * RATE
    assert abs(lag(desk, second) - 1.25 * RATE) <= 0.020 * RATE
    if codec != "opus":
        assert np.array_equal(np.rint(first[:96_000] * 32768), visitor)
        assert np.array_equal(np.rint(second[60_000:] * 32768), desk)
        assert not second[:60_000].any()


def test_tracks_carry_the_names_of_the_inputs(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mka", in_turn(heard(voice(0.5), at_s=0.0)))
    with av.open(str(tmp_path / "a.mka")) as container:
        assert [s.metadata["title"] for s in container.streams] == ["visitor", "desk"]
        assert [s.codec_context.name for s in container.streams] == ["opus", "opus"]


def test_stereo_has_the_first_input_left_and_the_second_right(tmp_path: Path) -> None:
    visitor, desk = voice(1.0, 1), voice(0.5, 2)
    recorded(tmp_path / "a.wav", in_turn(heard(visitor, at_s=0.5), heard(desk, at_s=0.75)))
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    assert np.array_equal(data[12_000:36_000, 1], desk)


def test_one_input_is_mono_and_a_mix_is_a_sum_that_does_not_wrap(tmp_path: Path) -> None:
    one, two = np.full(4800, 30_000, np.int16), np.full(4800, 20_000, np.int16)
    recorded(tmp_path / "one.wav", in_turn(heard(one, at_s=0.0)), inputs=("mic",))
    assert np.array_equal(read_wav(tmp_path / "one.wav")[0][:, 0], one)
    recorded(
        tmp_path / "mix.wav", in_turn(heard(one, at_s=0.0), heard(-two, at_s=0.0)), layout="mix"
    )
    assert set(read_wav(tmp_path / "mix.wav")[0][:, 0]) == {10_000}
    recorded(
        tmp_path / "loud.wav", in_turn(heard(one, at_s=0.0), heard(two, at_s=0.0)), layout="mix"
    )
    assert set(read_wav(tmp_path / "loud.wav")[0][:, 0]) == {32_767}


def test_layouts_that_a_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="holds one track"):
        RecorderOptions(path=Path("a.wav"), layout="tracks")
    with pytest.raises(StageError, match="stereo holds two inputs, not 3"):
        recorded(tmp_path / "a.mka", [], inputs=("a", "b", "c"), layout="stereo")
