"""The converter: sample counts, exact framing, honest times, and the sound itself."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe import ANY, CANONICAL, AudioFormat, AudioFrame, Converter, FormatError, audio
from rtpipe.testing import cut, joined, tone

RATES = [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def converted(converter: Converter, frames: list[AudioFrame]) -> list[AudioFrame]:
    out = [made for frame in frames for made in converter.process(frame)]
    return out + converter.finish()


def check(frames: list[AudioFrame]) -> None:
    for frame in frames[:1]:
        audio.check_frame(frame)
    for previous, frame in pairwise(frames):
        audio.check_frame(frame, previous)


def covered(frames: list[AudioFrame]) -> list[tuple[float, float]]:
    """Return the stretches (s) without a hole between them."""
    stretches: list[tuple[float, float]] = []
    expected: int | None = None
    for frame in frames:
        start = (frame.pts or 0) / frame.sample_rate
        end = start + frame.samples / frame.sample_rate
        if stretches and frame.pts == expected:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
        expected = (frame.pts or 0) + frame.samples
    return stretches


def test_what_fits_passes_as_it_is() -> None:
    frames = tone(seconds=0.1)
    for target in (ANY, CANONICAL, AudioFormat(format="s16")):
        assert all(
            a is b for a, b in zip(converted(Converter(target), frames), frames, strict=True)
        )
    same = converted(Converter(CANONICAL, frame_ms=20), frames)
    assert all(a is b for a, b in zip(same, frames, strict=True))


@settings(deadline=None, max_examples=60)
@given(
    rate_in=st.sampled_from(RATES),
    rate_out=st.sampled_from(RATES),
    channels=st.sampled_from([1, 2]),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5).filter(lambda s: sum(s) > 50),
    samples=st.integers(1000, 12_000),  # much shorter than the filter, it gives nothing
    start=st.integers(0, 10**7),
    format=st.sampled_from(["s16", "fltp", "s32"]),
    layout=st.sampled_from(["mono", "stereo"]),
)
def test_a_stream_keeps_its_duration_and_its_time(
    rate_in: int,
    rate_out: int,
    channels: int,
    sizes: list[int],
    samples: int,
    start: int,
    format: str,
    layout: str,
) -> None:
    data = np.random.default_rng(1).integers(-3000, 3000, (samples, channels)).astype(np.int16)
    frames = cut(data, sizes, sample_rate=rate_in, pts=start)
    target = AudioFormat(rate_out, layout, format)
    out = converted(Converter(target), frames)
    check(out)
    assert all(target.admits(frame) for frame in out)
    ((begins, ends),) = covered(out)
    assert begins == pytest.approx(start / rate_in, abs=1 / rate_out)
    assert ends == pytest.approx((start + samples) / rate_in, abs=2 / rate_out)


@settings(deadline=None, max_examples=60)
@given(
    rate_in=st.sampled_from(RATES),
    rate_out=st.sampled_from([8000, 16_000, 48_000]),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5).filter(lambda s: sum(s) > 50),
    parts=st.lists(
        st.tuples(st.integers(1000, 6000), st.integers(1, 3) | st.integers(1, 100_000)),
        min_size=1,
        max_size=5,
    ),
    frame_ms=st.sampled_from([None, 10.0, 20.0, 200.0]),
)
def test_holes_keep_their_duration_and_nothing_overlaps(
    rate_in: int,
    rate_out: int,
    sizes: list[int],
    parts: list[tuple[int, int]],
    frame_ms: float | None,
) -> None:
    """Parts of (samples, hole after it); where each part lies must not depend on the others."""
    frames: list[AudioFrame] = []
    pts = 0
    starts: list[float] = []
    for samples, hole in parts:
        starts.append(pts / rate_in)
        frames += cut(np.full(samples, 8000, np.int16), sizes, sample_rate=rate_in, pts=pts)
        pts += samples + hole
    out = converted(Converter(AudioFormat(rate_out, "mono", "s16"), frame_ms=frame_ms), frames)
    check(out)
    if frame_ms is not None:
        assert {frame.samples for frame in out} == {round(rate_out * frame_ms / 1000)}
    ends = pts / rate_in
    assert covered(out)[-1][1] <= ends + (frame_ms or 0) / 1000 + 3 / rate_out
    # every part sounds where it lay: the time line of loud samples is that of the input
    loud = np.zeros(round(ends * rate_out) + rate_out, bool)
    for frame in out:
        at = frame.pts or 0
        loud[at : at + frame.samples] |= audio.pcm(frame)[:, 0] > 4000
    for start, (samples, _) in zip(starts, parts, strict=True):
        length = samples / rate_in
        if length > 0.01:
            middle = round((start + length / 2) * rate_out)
            assert loud[middle]


def test_a_hole_that_is_lost_in_rounding_makes_no_overlap() -> None:
    before = cut(np.zeros(1076, np.int16), 1076, sample_rate=44_100, pts=39)
    after = cut(np.zeros(1000, np.int16), 1000, sample_rate=44_100, pts=39 + 1076 + 1)
    check(converted(Converter(AudioFormat(8000)), [*before, *after]))


@settings(deadline=None)
@given(
    frame_ms=st.sampled_from([10.0, 20.0, 30.0, 200.0]),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5).filter(lambda s: sum(s) > 50),
    samples=st.integers(1, 30_000),
    channels=st.sampled_from([1, 2]),
    start=st.integers(0, 10**6),
)
def test_framing_is_exact_and_changes_no_sample(
    frame_ms: float, sizes: list[int], samples: int, channels: int, start: int
) -> None:
    data = np.random.default_rng(1).integers(-32768, 32768, (samples, channels)).astype(np.int16)
    frames = cut(data, sizes, pts=start)
    out = converted(Converter(ANY, frame_ms=frame_ms), frames)
    check(out)
    size = round(48 * frame_ms)
    assert {frame.samples for frame in out} == {size}
    assert out[0].pts == start
    made = joined(out)
    assert np.array_equal(made[:samples], data)
    assert not made[samples:].any()
    assert len(made) - samples < size


@pytest.mark.parametrize("rate_in", RATES)
@pytest.mark.parametrize("rate_out", [8000, 16_000, 48_000])
@pytest.mark.parametrize("sizes", [960, (1, 7, 441, 4801)])
def test_a_sine_survives_rate_conversion(rate_in: int, rate_out: int, sizes: Any) -> None:
    data = joined(tone(1000, seconds=1, level_dbfs=-10, sample_rate=rate_in))
    out = joined(
        converted(
            Converter(AudioFormat(rate_out, "mono", "s16")), cut(data, sizes, sample_rate=rate_in)
        )
    )[:, 0].astype(float)
    middle = out[rate_out // 4 : rate_out * 3 // 4]
    t = np.arange(rate_out // 4, rate_out * 3 // 4) / rate_out
    basis = np.stack([np.sin(2 * np.pi * 1000 * t), np.cos(2 * np.pi * 1000 * t)], axis=1)
    amount, *_ = np.linalg.lstsq(basis, middle, rcond=None)
    rest = middle - basis @ amount
    amplitude = float(np.hypot(*amount))
    assert amplitude == pytest.approx(32768 * 10 ** (-10 / 20) * 2**0.5, rel=0.02)
    assert 20 * np.log10(amplitude / 2**0.5 / np.std(rest)) > 50
    # neither late nor early: a phase error of 1 kHz is a time error
    assert abs(np.arctan2(amount[1], amount[0])) / (2 * np.pi * 1000) < 0.5 / min(rate_in, rate_out)


def test_the_cut_makes_no_difference() -> None:
    data = joined(tone(seconds=0.5, sample_rate=44_100, layout="stereo"))
    outs = [
        joined(converted(Converter(CANONICAL), cut(data, sizes, sample_rate=44_100)))
        for sizes in (882, 8820, (1, 7, 441, 959, 4801))
    ]
    assert all(np.array_equal(out, outs[0]) for out in outs)


def test_stereo_to_mono_mixes_and_mono_to_stereo_doubles() -> None:
    pair = np.stack([np.full(960, 8000), np.full(960, 4000)], axis=1).astype(np.int16)
    mono = joined(converted(Converter(AudioFormat(layout="mono")), cut(pair)))
    assert abs(int(mono[480, 0]) - 6000) <= 1
    stereo = joined(converted(Converter(AudioFormat(layout="stereo")), cut(pair[:, 0])))
    assert stereo.shape == (960, 2)
    assert np.array_equal(stereo[:, 0], stereo[:, 1])


def test_a_change_of_format_in_mid_stream_is_followed() -> None:
    converter = Converter(CANONICAL, frame_ms=20)
    first = tone(seconds=0.5, sample_rate=44_100, layout="stereo")
    second = cut(joined(tone(seconds=0.5, sample_rate=16_000)), 320, sample_rate=16_000, pts=8000)
    third = cut(joined(tone(seconds=0.5)), 960, pts=48_000)
    out = converted(converter, [*first, *second, *third])
    check(out)
    assert {frame.samples for frame in out} == {960}
    ((begins, ends),) = covered(out)
    assert (begins, ends) == (0, pytest.approx(1.5, abs=0.021))


def test_locked_keeps_the_first_frames_format() -> None:
    converter = Converter(ANY, locked=True)
    first = tone(seconds=0.02, sample_rate=16_000)
    second = cut(joined(tone(seconds=0.02, layout="stereo")), 960, pts=960)
    out = converted(converter, [*first, *second])
    assert {str(AudioFormat.of(frame)) for frame in out} == {"s16, mono, 16000 Hz"}
    check(out)


def test_reset_forgets_what_is_held() -> None:
    converter = Converter(CANONICAL, frame_ms=20)
    for frame in cut(np.full(500, 9000, np.int16)):
        assert converter.process(frame) == []
    converter.reset()
    out = converted(converter, cut(np.zeros(960, np.int16), pts=96_000))
    assert [frame.pts for frame in out] == [96_000]
    assert not joined(out).any()


def test_meta_goes_along() -> None:
    frames = tone(seconds=0.2, sample_rate=16_000)
    for number, frame in enumerate(frames):
        audio.meta(frame).captured_at = number / 50
    for frame in converted(Converter(CANONICAL, frame_ms=20), frames):
        captured_at = audio.meta(frame).captured_at
        assert captured_at is not None
        assert abs(captured_at - (frame.pts or 0) / 48_000) <= 0.04


def test_what_cannot_be_converted_is_said() -> None:
    with pytest.raises(FormatError, match="cannot convert"):
        Converter(AudioFormat(layout="no such layout")).process(tone(seconds=0.02)[0])
