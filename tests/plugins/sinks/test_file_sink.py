"""file_sink: what goes in is what the file holds, whatever happens to the process or the disk."""

import re
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from helpers.media_files import read_tracks, read_wav
from rtpipe import (
    AudioFormat,
    AudioFrame,
    EnvironmentProblem,
    ExitCode,
    FormatError,
    StageError,
)
from rtpipe.testing import Bench, check_stage, cut, joined, noise, run_stage, run_virtual, tone
from rtpipe_plugins.sinks.file_sink import FileSink, FileSinkOptions


def written(path: Path, frames: list[AudioFrame], **options: Any) -> None:
    frame_ms = options.pop("frame_ms", 20)
    run_virtual(run_stage(FileSink, {"path": path, **options}, frames, frame_ms=frame_ms))


def peak_hz(data: NDArray[np.floating], sample_rate: int) -> float:
    return int(np.abs(np.fft.rfft(data)).argmax()) * sample_rate / len(data)


@pytest.mark.parametrize("ending", ["wav", "flac", "mka", "opus", "m4a"])
def test_it_keeps_the_contract(tmp_path: Path, ending: str) -> None:
    check_stage(FileSink, {"path": tmp_path / f"out.{ending}", "overwrite": True})


@pytest.mark.parametrize("frame_ms", [20, 200])
def test_a_wav_is_exact_in_rate_layout_and_every_sample(tmp_path: Path, frame_ms: int) -> None:
    data = np.random.default_rng(3).integers(-32768, 32768, (100_003, 2), dtype=np.int16)
    frames = cut(data, 441 * frame_ms // 10, sample_rate=44_100, pts=7)
    written(tmp_path / "out.wav", frames, frame_ms=frame_ms)
    read, rate = read_wav(tmp_path / "out.wav")
    assert rate == 44_100
    assert np.array_equal(read, data)


def test_flac_and_pcm_in_matroska_are_exact_too(tmp_path: Path) -> None:
    frames = noise(seconds=1.234, level_dbfs=-20)
    for name, options in (
        ("a.flac", {}),
        ("b.mka", {"codec": "flac"}),
        ("c.mka", {"codec": "pcm"}),
    ):
        written(tmp_path / name, frames, **options)
        (track,) = read_tracks(tmp_path / name)
        assert np.array_equal(np.rint(track * 32768), joined(frames)[:, 0]), name


@pytest.mark.parametrize("ending", ["opus", "ogg", "mka", "webm", "mp3", "m4a", "mp4", "aac"])
def test_every_ending_makes_a_file_of_the_right_length_and_tone(
    tmp_path: Path, ending: str
) -> None:
    written(tmp_path / f"tone.{ending}", tone(1000, seconds=2.0))
    (track,) = read_tracks(tmp_path / f"tone.{ending}")
    assert len(track) == pytest.approx(96_000, abs=2500)
    assert peak_hz(track[24_000:72_000], 48_000) == 1000
    level = 20 * np.log10(np.sqrt(np.mean(track[24_000:72_000] ** 2)))
    assert level == pytest.approx(-20, abs=0.5)  # LAME turns 0.45 dB down


def test_rate_and_layout_can_be_chosen(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", tone(1000, seconds=1), sample_rate=16_000, layout="stereo")
    data, rate = read_wav(tmp_path / "a.wav")
    assert rate == 16_000
    assert data.shape == (16_000, 2)


def test_it_asks_for_what_the_codec_takes() -> None:
    def accepts(path: str, **options: Any) -> AudioFormat:
        return FileSink.accepts_for(FileSinkOptions(path=Path(path), **options))

    assert accepts("a.wav") == AudioFormat(None, None, "s16")
    assert accepts("a.opus") == AudioFormat(48_000, None, "s16")
    assert accepts("a.opus", sample_rate=16_000) == AudioFormat(16_000, None, "s16")
    assert accepts("a.flac", layout="mono") == AudioFormat(None, "mono", "s16")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": "a.xyz"}, "cannot write xyz: the ending can be .wav, .flac"),
        ({"path": "noending"}, "cannot write a file without an ending"),
        ({"path": "a.wav", "codec": "opus"}, "a WAV file holds pcm"),
        ({"path": "a.mka", "codec": "vhs"}, "FFmpeg has no encoder vhs"),
        ({"path": "a.opus", "sample_rate": 44_100}, "libopus takes a sample_rate of 8000, 12000"),
    ],
)
def test_what_cannot_be_written_is_refused_before_it_runs(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        FileSinkOptions.model_validate(options)


def test_a_hole_becomes_silence_of_the_same_length(tmp_path: Path) -> None:
    loud = np.full(960, 1000, np.int16)
    frames = [*cut(loud), *cut(loud, pts=960 + 150_001), *cut(loud, pts=152_881)]
    written(tmp_path / "out.wav", frames)
    data = read_wav(tmp_path / "out.wav")[0][:, 0]
    expected = np.zeros(153_841, np.int16)
    expected[:960] = expected[150_961:151_921] = expected[152_881:] = 1000
    assert np.array_equal(data, expected)


def test_an_existing_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "precious.wav"
    path.write_text("precious")
    with pytest.raises(StageError, match=r"precious\.wav exists already") as caught:
        written(path, tone(seconds=0.1))
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "overwrite: true" in (caught.value.help or "")
    assert path.read_text() == "precious"
    written(path, tone(seconds=0.1), overwrite=True)
    assert len(read_wav(path)[0]) == 4800


def test_folders_are_made_and_dates_filled_in(tmp_path: Path) -> None:
    written(tmp_path / "a" / "%Y" / "%Y%m%d-%H%M%S.wav", tone(seconds=0.1))
    (path,) = tmp_path.rglob("*.wav")
    begun = time.strptime(path.stem, "%Y%m%d-%H%M%S")
    assert abs(time.mktime(begun) - time.time()) < 60
    assert path.parent.name == str(begun.tm_year)


def test_a_place_that_cannot_be_written_is_a_matter_of_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match=r"cannot write .*(Not a|File ex)"):
        written(tmp_path / "file" / "out.wav", tone(seconds=0.1))


@pytest.mark.parametrize("ending", ["wav", "mka"])
def test_a_full_disk_is_an_error_that_names_the_file(ending: str) -> None:
    with pytest.raises(StageError, match="cannot write /dev/full: No space left on device"):
        written(Path("/dev/full"), noise(seconds=20), format=ending, overwrite=True)


def test_no_audio_at_all_is_a_valid_empty_file(tmp_path: Path) -> None:
    written(tmp_path / "out.wav", [])
    assert read_wav(tmp_path / "out.wav")[0].shape == (0, 1)


def test_a_start_that_failed_elsewhere_leaves_no_file(tmp_path: Path) -> None:
    async def opened_and_closed() -> None:
        async with Bench(FileSink, {"path": tmp_path / "out.wav"}).opened():
            pass

    run_virtual(opened_and_closed())
    assert list(tmp_path.iterdir()) == []


def test_a_wav_is_valid_while_it_is_being_written(tmp_path: Path) -> None:
    """So it is after a kill, too: nothing is left to be done at the end."""
    path = tmp_path / "out.wav"
    seen: list[int] = []

    def look(_: object) -> None:
        with wave.open(str(path)) as file:
            seen.append(file.getnframes())
            assert len(file.readframes(file.getnframes())) == 2 * file.getnframes()

    frames = tone(seconds=2)
    written(path, [*frames[:50], look, *frames[50:], look])  # type: ignore[list-item]
    assert 48_000 - 2 * 9600 <= seen[0] <= 48_000
    assert seen[1] >= 96_000 - 2 * 9600


def test_a_change_of_format_is_refused_rather_than_written_as_noise(tmp_path: Path) -> None:
    frames = [*tone(seconds=0.1), *tone(seconds=0.1, layout="stereo")]
    with pytest.raises(FormatError, match="it cannot go on as s16, stereo"):
        written(tmp_path / "out.wav", frames)
