"""gain: the level asked for, no clicks, no wrapping round, the same however the stream is cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from rtpipe import AudioFrame, StageError, audio
from rtpipe.testing import check_stage, cut, joined, noise, run_stage, run_virtual, tone
from rtpipe_plugins.transforms.gain import Gain, GainOptions


def gained(options: dict[str, Any], steps: list[Any]) -> NDArray[np.int16]:
    return joined(run_virtual(run_stage(Gain, options, steps)).frames)


def test_it_keeps_the_contract_to_the_last_bit() -> None:
    for options in ({}, {"gain_db": -7.3}, {"gain_db": 12}, {"gain_db": 12, "limiter": False}):
        check_stage(Gain, options, tolerance=0)


@pytest.mark.parametrize("gain_db", [-40.0, -6.0, 3.0, 10.0])
def test_the_level_changes_by_the_decibels_asked_for(gain_db: float) -> None:
    out = gained({"gain_db": gain_db}, list(tone(seconds=0.5, level_dbfs=-20)))
    whole = audio.from_pcm(out, sample_rate=48_000, pts=0)
    assert audio.level_dbfs(whole) == pytest.approx(-20 + gain_db, abs=0.02)


def test_0_db_changes_nothing_and_mute_leaves_zeros() -> None:
    frames = list(noise(seconds=0.1, level_dbfs=-1))
    assert np.array_equal(gained({}, frames), joined(frames))
    assert not gained({"mute": True}, frames).any()


def test_rounding_adds_no_bias() -> None:
    out = gained({"gain_db": -6.02}, list(noise(seconds=1, level_dbfs=-60)))
    expected = joined(noise(seconds=1, level_dbfs=-60)) * 10 ** (-6.02 / 20)
    assert abs(float(np.mean(out - expected))) < 0.01


@pytest.mark.parametrize("limiter", [True, False])
@given(gain_db=st.floats(0, 60), level_dbfs=st.floats(-40, -3))
def test_no_gain_wraps_a_sample_round(limiter: Any, gain_db: float, level_dbfs: float) -> None:
    frames = tone(300, seconds=0.02, level_dbfs=level_dbfs)
    before = joined(frames)
    after = gained({"gain_db": gain_db, "limiter": limiter}, list(frames))
    loud = np.abs(before) > 100
    assert np.array_equal(np.sign(after[loud]), np.sign(before[loud]))
    assert np.all(np.abs(after.astype(int)) >= np.abs(before.astype(int)) - 1)


def test_extremes_stay_extremes() -> None:
    edge = np.array([32767, -32768, 0, 1, -1], np.int16)
    for limiter in (True, False):
        out = gained({"gain_db": 60, "limiter": limiter}, cut(edge))[:, 0]
        assert out[0] >= 32766
        assert out[1] <= -32766
        assert out[2] == 0


def test_the_limiter_bends_softly_and_keeps_the_order_of_loudness() -> None:
    rising = np.arange(0, 32767, 8, dtype=np.int16)
    out = gained({"gain_db": 6}, cut(rising, len(rising)))[:, 0].astype(int)
    assert np.all(np.diff(out) >= 0)
    assert out[-1] <= 32767
    assert np.sum(out == 32767) < 20  # no flat top, which is what clipping sounds of
    quiet = rising < 10_000
    assert np.allclose(out[quiet], rising[quiet] * 10 ** (6 / 20), atol=1)


def test_below_the_knee_the_limiter_makes_no_difference() -> None:
    frames = tone(seconds=0.1, level_dbfs=-20)
    with_limiter = gained({"gain_db": 10}, list(frames))
    without = gained({"gain_db": 10, "limiter": False}, list(frames))
    assert np.array_equal(with_limiter, without)


def test_a_change_is_a_ramp_of_the_length_asked_for() -> None:
    flat = np.full(4800, 10_000, np.int16)
    first, *rest = cut(flat)
    out = gained({"ramp_ms": 20}, [first, lambda gain: gain.mute(), *rest])[:, 0].astype(int)
    assert np.all(out[:960] == 10_000)
    assert np.max(np.abs(np.diff(out))) <= 11  # 10,000 in 960 steps
    assert out[960 + 958] > 0
    assert not out[960 + 959 :].any()


def test_actions_set_mute_and_unmute() -> None:
    flat = np.full(960 * 4, 1000, np.int16)
    a, b, c, d = cut(flat)
    steps = [a, lambda g: g.mute(), b, lambda g: g.set(6.0205999), c, lambda g: g.unmute(), d]
    out = gained({"ramp_ms": 10}, steps)[:, 0]
    assert [out[i * 960 - 1] for i in (1, 2, 3, 4)] == [1000, 0, 0, 2000]


def test_a_second_change_begins_where_the_first_one_is() -> None:
    flat = np.full(4800, 10_000, np.int16)
    frames = cut(flat, 240)
    steps = [frames[0], lambda g: g.mute(), frames[1], lambda g: g.unmute(), *frames[2:]]
    out = gained({"ramp_ms": 20}, steps)[:, 0].astype(int)
    assert np.max(np.abs(np.diff(out))) <= 11
    assert out[479] == pytest.approx(7500, abs=12)
    assert out[-1] == 10_000


def test_a_gain_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 60"):
        GainOptions(gain_db=61)
    with pytest.raises(StageError, match="between -120 and 60"):
        gained({}, [lambda gain: gain.set(float("nan"))])


@given(
    gain_db=st.floats(-60, 30),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    ramp_ms=st.sampled_from([0.0, 0.01, 7.0, 20.0, 50.0]),
    changes=st.lists(st.sampled_from(["mute", "unmute", "set"]), max_size=3),
    channels=st.sampled_from([1, 2]),
)
def test_how_the_stream_is_cut_makes_no_difference(
    gain_db: float, sizes: list[int], ramp_ms: float, changes: list[str], channels: int
) -> None:
    """Actions come at the same places of the stream; between them it is cut in any way."""
    data = np.random.default_rng(1).integers(-32768, 32768, (4800, channels)).astype(np.int16)

    def change(name: str) -> Any:
        return lambda g: g.set(gain_db / 2) if name == "set" else getattr(g, name)()

    def run(sizes: list[int]) -> NDArray[np.int16]:
        steps: list[Any] = []
        for number, name in enumerate([*changes, None]):
            part = data[number * 1200 : (number + 1) * 1200]
            steps += cut(part, sizes, pts=number * 1200)
            steps += [change(name)] if name else []
        return gained({"gain_db": gain_db, "ramp_ms": ramp_ms}, steps)

    assert np.array_equal(run(sizes), run([960]))


def test_the_frame_given_is_the_frame_returned() -> None:
    kept: list[AudioFrame] = []

    def process(gain: Gain) -> None:
        frame = tone(seconds=0.02)[0]
        kept.extend([frame, gain.process(frame)])

    gained({"gain_db": -3}, [process])
    assert kept[0] is kept[1]


def test_the_gauge_tells_what_is_not_as_in_the_file() -> None:
    told: list[str] = []
    (a,) = cut(np.full(960, 1000, np.int16))
    gained(
        {"gain_db": 3},
        [
            a,
            lambda g: told.append(g.gauge()),
            lambda g: g.set(-6.5),
            lambda g: told.append(g.gauge()),
            lambda g: g.mute(),
            lambda g: told.append(g.gauge()),
        ],
    )
    assert told == ["", "-6.5 dB", "muted"]
