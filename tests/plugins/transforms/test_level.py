"""level: true figures for each interval of media time, the same however the stream is cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtpipe import Event, audio
from rtpipe.testing import check_stage, cut, joined, noise, run_stage, run_virtual, tone
from rtpipe_plugins.transforms.level import Level


def measured(options: dict[str, Any], frames: list[Any]) -> list[Any]:
    return run_virtual(run_stage(Level, options, frames)).of_type("level")


@pytest.mark.parametrize("options", [{}, {"interval_ms": 33.3, "ebur128": True}], ids=str)
def test_it_keeps_the_contract_to_the_last_bit(options: dict[str, Any]) -> None:
    check_stage(Level, options, tolerance=0)


def test_a_tone_has_the_level_it_was_given() -> None:
    events = measured({"interval_ms": 100}, list(tone(1000, seconds=1, level_dbfs=-20)))
    assert [event.at_ms for event in events] == list(range(100, 1001, 100))
    for event in events:
        assert event.rms_dbfs == pytest.approx(-20, abs=0.01)
        assert event.peak_dbfs == pytest.approx(-17, abs=0.05)
        assert event.clips == 0
        assert event.lufs is None


def test_silence_has_a_floor_and_clipped_samples_are_counted_at_both_ends() -> None:
    data = np.zeros(4800, np.int16)
    data[[3, 5]], data[7] = 32767, -32768
    clipped, silent = measured({}, list(cut(np.concatenate([data, np.zeros(4800, np.int16)]))))
    assert (clipped.clips, clipped.peak_dbfs) == (3, 0.0)
    assert (silent.clips, silent.peak_dbfs, silent.rms_dbfs) == (0, -120.0, -120.0)


def test_loudness_is_what_the_standard_says_of_a_1_khz_tone() -> None:
    """EBU Tech 3341: a stereo sine of -23 dBFS peak in each channel reads -23 LUFS."""
    frames = tone(1000, seconds=3, level_dbfs=-26.01, layout="stereo")
    last: Any = measured({"interval_ms": 1000, "ebur128": True}, list(frames))[-1]
    assert last.lufs == pytest.approx(-23, abs=0.1)
    assert last.lufs_integrated == pytest.approx(-23, abs=0.1)


def test_an_interval_in_which_nothing_came_is_not_told_of() -> None:
    data = joined(noise(seconds=0.1))
    events = measured({}, [*cut(data), *cut(data, pts=48_000)])
    assert [event.at_ms for event in events] == [100, 1100]


def test_the_frames_pass_untouched() -> None:
    frames = tone(seconds=0.1)
    run = run_virtual(run_stage(Level, {}, list(frames)))
    assert all(a is b for a, b in zip(run.frames, frames, strict=True))


@settings(max_examples=25, deadline=None)
@example(sizes=[50], interval_ms=198.111328125, ebur128=False)
@given(
    sizes=st.lists(st.integers(50, 3000), min_size=1, max_size=5),
    interval_ms=st.floats(10, 250),
    ebur128=st.booleans(),
)
def test_how_the_stream_is_cut_makes_no_difference(
    sizes: list[int], interval_ms: float, ebur128: Any
) -> None:
    data = joined(noise(seconds=0.5, level_dbfs=-12))
    options = {"interval_ms": interval_ms, "ebur128": ebur128}

    def payloads(events: list[Event]) -> list[Any]:
        return [event.payload() for event in events]

    whole = payloads(measured(options, list(cut(data, 9600, pts=480_000))))
    assert payloads(measured(options, list(cut(data, sizes, pts=480_000)))) == whole
    frame = audio.from_pcm(data, sample_rate=48_000, pts=0)
    # The first interval and the last may be as short as a sample, which says nothing.
    lengths_ms = np.diff([10_000, *(min(each["at_ms"], 10_500) for each in whole)])
    powers = [10 ** (each["rms_dbfs"] / 10) for each in whole]
    mean_dbfs = 10 * np.log10(np.average(powers, weights=lengths_ms))
    assert mean_dbfs == pytest.approx(audio.level_dbfs(frame), abs=0.5)
