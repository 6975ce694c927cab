"""Every voice in its place in time: holes, files, what comes late and what was before."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from helpers.media_files import lag, read_wav
from plugins.sinks.recorder.recording import RATE, Arrival, heard, in_turn, recorded, voice
from rtpipe.testing import cut


def test_holes_in_one_voice_are_silence_and_move_nothing(tmp_path: Path) -> None:
    """Ten minutes, in which both speak every hundred seconds and send nothing in between."""
    whole_s = 600
    words = voice(0.5, 3)

    def arrivals() -> Iterable[Arrival]:
        for begin in range(0, whole_s, 100):
            yield from in_turn(
                heard(words, at_s=begin + 0.1, pts=begin * RATE),
                heard(words, at_s=begin + 0.3, pts=begin * RATE + 777),
            )
        yield from in_turn(
            heard(words, at_s=whole_s + 0.1, pts=whole_s * RATE),
            heard(words, at_s=whole_s + 0.3, pts=whole_s * RATE + 777),
        )

    recorded(tmp_path / "a.wav", arrivals())
    data, _ = read_wav(tmp_path / "a.wav")
    for begin in range(0, whole_s + 1, 100):
        for channel, start in ((0, begin * RATE), (1, begin * RATE + 9600)):
            assert np.array_equal(data[start : start + len(words), channel], words), begin
    assert np.count_nonzero(data) == pytest.approx(2 * 7 * len(words), rel=0.01)


def test_files_are_aligned_by_pts_and_one_may_run_far_ahead(tmp_path: Path) -> None:
    first, second = voice(10.0, 1), voice(3.0, 2)
    arrivals = [(0, f) for f in cut(first, 9600)] + [(1, f) for f in cut(second, 9600, pts=48_000)]
    recorded(tmp_path / "a.wav", arrivals, live=False)
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], first)
    assert np.array_equal(data[48_000:192_000, 1], second)
    assert not data[192_000:, 1].any()


def test_a_stream_that_comes_too_late_is_kept_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    visitor, desk = voice(4.0, 1), voice(0.5, 2)
    arrivals = [(0, f) for f in heard(visitor, at_s=0.0)] + [(1, f) for f in heard(desk, at_s=0.0)]
    recorded(tmp_path / "a.wav", arrivals)
    data, _ = read_wav(tmp_path / "a.wav")
    assert "desk came 3500 ms too late" in caplog.text
    assert np.array_equal(data[168_000:192_000, 1], desk)


def test_what_came_late_is_in_its_place_again_after_a_pause(tmp_path: Path) -> None:
    """The desk's line hangs for 700 ms, and then gives everything at once."""
    visitor, word = voice(6.0, 1), voice(1.0, 2)
    desk = np.concatenate([word, np.zeros(RATE, np.int16), word, np.zeros(3 * RATE, np.int16)])
    late = [(1, f) for f in heard(desk, at_s=0.0)]
    arrivals: list[Arrival] = []
    for frame in heard(visitor, at_s=0.0):
        arrivals.append((0, frame))
        at = frame.pts or 0
        while late and (late[0][1].pts or 0) <= at and not 24_000 <= at < 57_600:
            arrivals.append(late.pop(0))
    recorded(tmp_path / "a.wav", arrivals)
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    shifted = lag(word[24_000:], data[: 2 * RATE, 1]) - 24_000
    assert 0.1 * RATE < shifted < 0.3 * RATE  # the aligner waited for half a second
    assert np.array_equal(data[2 * RATE : 3 * RATE, 1], word)


def test_what_was_heard_before_the_beginning_is_left_out(tmp_path: Path) -> None:
    visitor, desk = voice(0.5, 1), voice(0.5, 2)
    first, *rest = heard(visitor, at_s=1.0)
    recorded(tmp_path / "a.wav", [(0, first), *in_turn(rest, heard(desk, at_s=0.9))])
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    assert np.array_equal(data[: 24_000 - 4800, 1], desk[4800:])


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("jump", [10**12, 2**61, -(10**12)])
@pytest.mark.parametrize("at", [0, 25])
def test_time_stamps_of_another_age_lose_nothing_and_make_no_hours(
    tmp_path: Path, at: int, jump: int, *, live: bool
) -> None:
    words = voice(1.0, 3)
    desk = heard(words, at_s=0.0 if live else None)
    for frame in desk[at:]:
        frame.pts = (frame.pts or 0) + jump
    visitor = heard(words, at_s=0.0 if live else None)
    arrivals = [
        (n, frame) for pair in zip(visitor, desk, strict=True) for n, frame in enumerate(pair)
    ]
    bench = recorded(tmp_path / "a.wav", arrivals, live=live)
    data, _ = read_wav(tmp_path / "a.wav")
    assert data.shape == (RATE, 2)
    assert np.array_equal(data[:, 0], words)
    assert np.array_equal(data[:, 1], words)
    # A live stream stands where its first frame was heard, whatever it counts from.
    told = 0 if jump < 0 or (live and not at) else 1
    assert len(bench.run.of_type("timestamps.rebased")) == told
