"""Segments, by time and by size: they join to the sample."""

import json
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.media_files import lag, read_tracks, read_wav
from plugins.sinks.recorder.recording import events_at, heard, in_turn, recorded, voice, with_events


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_segments_join_to_the_sample(tmp_path: Path, ending: str) -> None:
    data = voice(7.3)
    path = tmp_path / f"a.{ending}"
    bench = recorded(path, in_turn(heard(data, at_s=1.0)), inputs=("mic",), segment_s=2)
    pieces = [path, *(tmp_path / f"a-{n}.{ending}" for n in (2, 3, 4))]
    read = [np.rint(read_tracks(piece)[0] * 32768).astype(np.int16) for piece in pieces]
    assert [len(piece) for piece in read] == [96_000, 96_000, 96_000, 62_400]
    assert np.array_equal(np.concatenate(read), data)
    starts = [e.payload()["start_s"] for e in bench.run.of_type("recorder.segment_started")]
    assert starts == [2.0, 4.0, 6.0]
    (stopped,) = bench.run.of_type("recorder.stopped")
    assert stopped.payload()["segments"] == 4


def decoded(path: Path) -> int:
    """Return how many samples come out; a Matroska's time stamps are whole milliseconds."""
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("ending", ["mka", "opus"])
def test_opus_segments_join_to_the_sample(tmp_path: Path, ending: str) -> None:
    arrivals = in_turn(heard(voice(5.01), at_s=0.0))
    recorded(tmp_path / f"a.{ending}", arrivals, inputs=("mic",), segment_s=2)
    names = (f"a.{ending}", f"a-2.{ending}", f"a-3.{ending}")
    assert [decoded(tmp_path / name) for name in names] == [96_000, 96_000, 48_480]


def read_by_ffmpeg(path: Path) -> NDArray[np.float64]:
    """Return what FFmpeg's own program makes of a file: no time stamp of ours is asked."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    made = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(made.stdout, np.int16).astype(float)


@pytest.mark.parametrize("ending", ["m4a", "mp4"])
@pytest.mark.parametrize("cut", [{"segment_s": 2}, {"segment_mb": 0.02}])
def test_aac_segments_begin_without_priming_and_join_to_the_sample(
    tmp_path: Path, ending: str, cut: dict[str, float]
) -> None:
    data = voice(5.01)
    recorded(tmp_path / f"a.{ending}", in_turn(heard(data, at_s=0.0)), inputs=("mic",), **cut)
    pieces = sorted(tmp_path.glob(f"a*.{ending}"), key=lambda path: path.stat().st_mtime_ns)
    read = [read_by_ffmpeg(piece) for piece in pieces]
    assert len(read) >= 3
    assert all(len(piece) % 1024 == 0 for piece in read)
    assert 0 <= sum(map(len, read)) - len(data) < 1024  # the last block is a whole one
    begin = 0
    for piece in read:
        here = data[begin : begin + len(piece)].astype(float)
        assert lag(here, piece) == 0
        begin += len(piece)


def test_an_end_on_a_segments_end_leaves_no_empty_file(tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", in_turn(heard(voice(4.0), at_s=0.0)), segment_s=2)
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["a-2.wav", "a.wav"]
    assert '"recorder.stopped"' in (tmp_path / "a-2.events.jsonl").read_text()


def test_segments_by_size_are_about_so_large_and_lose_nothing(tmp_path: Path) -> None:
    data = voice(10.0)
    arrivals = in_turn(heard(data, at_s=0.0))
    recorded(tmp_path / "a.wav", arrivals, inputs=("mic",), segment_mb=0.3, sidecar=False)
    names = ["a.wav", "a-2.wav", "a-3.wav", "a-4.wav"]
    pieces = [read_wav(tmp_path / name)[0][:, 0] for name in names]
    assert all(300_000 <= 2 * len(piece) + 44 < 320_000 for piece in pieces[:-1])
    assert np.array_equal(np.concatenate(pieces), data)


def test_each_segment_is_named_by_its_time_and_has_its_own_events(tmp_path: Path) -> None:
    frames = in_turn(heard(voice(5.0), at_s=1.0))
    events = events_at((1.5, "x.one", "x"), (3.5, "x.two", "x"), (5.5, "x.three", "x"))
    recorded(tmp_path / "%S.wav", with_events(frames, events), segment_s=2)
    names = sorted(tmp_path.glob("*.wav"), key=lambda p: p.stat().st_mtime_ns)
    first, second, third = (int(path.stem) for path in names)
    assert ((second - first) % 60, (third - second) % 60) == (3, 2)  # it began a second late
    said = {}
    for path in names:
        lines = path.with_suffix(".events.jsonl").read_text().splitlines()
        said |= {line["type"]: line["at"] for line in map(json.loads, lines)}
        assert sum(line.count('"x.') for line in lines) == 1
    assert (said["x.one"], said["x.two"], said["x.three"]) == (0.5, 0.5, 0.5)


def test_overwriting_never_means_its_own_segments(tmp_path: Path) -> None:
    for _ in range(2):
        recorded(
            tmp_path / "a.wav",
            in_turn(heard(voice(4.5), at_s=0.0)),
            segment_s=2,
            overwrite=True,
            sidecar=False,
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.wav", "a-3.wav", "a.wav"]
