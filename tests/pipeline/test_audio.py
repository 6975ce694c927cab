"""Frames: formats, samples as numpy arrays, meta, and the rules every link holds."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rtpipe import ANY, CANONICAL, AudioFormat, AudioFrame, Converter, FormatError, audio
from rtpipe.testing import cut, tone

FORMATS = ["u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp", "dbl", "dblp"]


def frame_of(x: NDArray[np.float32], format: str, sample_rate: int = 48_000) -> AudioFrame:
    layout = "mono" if x.shape[1] == 1 else "stereo"
    model = audio.silence(len(x), pts=7, sample_rate=sample_rate, layout=layout, format=format)
    return audio.like(model, x)


# --- formats


def test_a_format_admits_what_it_leaves_open() -> None:
    frame = audio.silence(10, pts=0, sample_rate=8000, layout="stereo")
    assert ANY.admits(frame)
    assert AudioFormat(8000).admits(frame)
    assert AudioFormat.of(frame).admits(frame)
    for other in (AudioFormat(16_000), AudioFormat(layout="mono"), AudioFormat(format="flt")):
        assert not other.admits(frame)


def test_a_format_takes_its_open_fields_from_another() -> None:
    assert AudioFormat(16_000).completed(CANONICAL) == AudioFormat(16_000, "mono", "s16")
    assert ANY.completed(CANONICAL) == CANONICAL


def test_a_format_reads_as_words() -> None:
    assert str(CANONICAL) == "s16, mono, 48000 Hz"
    assert str(ANY) == "any format, any layout, any rate"


# --- samples


@pytest.mark.parametrize("format", FORMATS)
@given(
    x=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 300), st.integers(1, 2)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_samples_come_back_from_every_format(format: str, x: NDArray[np.float32]) -> None:
    step = {"u": 1 / 128, "s": 1 / 32768, "f": 1e-6, "d": 1e-6}[format[0]]
    back = audio.samples(frame_of(x, format))
    assert back.shape == x.shape
    assert back.dtype == np.float32
    assert np.allclose(back, x, atol=step)  # 1.0 itself is one step above the loudest integer


@pytest.mark.parametrize("format", ["u8", "s16", "s32", "s16p"])
def test_what_is_too_loud_is_clipped_and_never_wraps(format: str) -> None:
    loud = np.array([[9.0], [-9.0], [1.0], [-1.0]], np.float32)
    back = audio.samples(frame_of(loud, format))[:, 0]
    assert np.all(back[[0, 2]] > 0.99)
    assert np.all(back[[1, 3]] == -1.0)


def test_like_keeps_format_time_and_meta() -> None:
    model = audio.silence(4, pts=123, sample_rate=16_000, layout="stereo", format="fltp")
    audio.meta(model).captured_at = 1.5
    made = audio.like(model, np.zeros((9, 2), np.float32))
    assert AudioFormat.of(made) == AudioFormat.of(model)
    assert (made.pts, made.samples, made.time_base) == (123, 9, Fraction(1, 16_000))
    assert audio.meta(made).captured_at == 1.5
    assert audio.meta(made) is not audio.meta(model)


def test_like_takes_a_flat_array_for_mono() -> None:
    made = audio.like(audio.silence(3, pts=0), np.array([0.5, -0.5, 0.0]))
    assert audio.pcm(made)[:, 0].tolist() == [16384, -16384, 0]


def test_pcm_is_a_view_that_writes_into_the_frame() -> None:
    frame = tone(seconds=0.02, layout="stereo")[0]
    view = audio.pcm(frame)
    assert view.shape == (960, 2)
    view[:] = 5
    assert np.all(audio.pcm(frame) == 5)


def test_pcm_leaves_the_padding_of_a_plane_out() -> None:
    frame = Converter(AudioFormat(16_000)).process(tone(seconds=0.02)[0])[0]
    assert frame.planes[0].buffer_size > 2 * frame.samples
    assert audio.pcm(frame).shape == (frame.samples, 1)


def test_pcm_of_planes_is_refused_except_for_mono() -> None:
    with pytest.raises(FormatError, match="plane of its own"):
        audio.pcm(audio.silence(4, pts=0, layout="stereo", format="s16p"))
    assert audio.pcm(audio.silence(4, pts=0, format="s16p")).shape == (4, 1)


@given(data=hnp.arrays(np.int16, st.tuples(st.integers(1, 2000), st.integers(1, 2))))
def test_from_pcm_keeps_every_sample(data: NDArray[np.int16]) -> None:
    frame = audio.from_pcm(data, sample_rate=44_100, pts=99)
    assert np.array_equal(audio.pcm(frame), data)
    assert (frame.sample_rate, frame.pts, frame.samples) == (44_100, 99, len(data))
    audio.check_frame(frame)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_silence_is_silent_in_every_format(format: str, layout: str) -> None:
    frame = audio.silence(33, pts=5, layout=layout, format=format)
    assert not audio.samples(frame).any()
    assert audio.level_dbfs(frame) == -120.0
    audio.check_frame(frame)


@pytest.mark.parametrize("format", FORMATS)
def test_a_copy_is_equal_and_has_memory_of_its_own(format: str) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (101, 2)).astype(np.float32)
    frame = frame_of(x, format)
    audio.meta(frame).extra["note"] = 1
    twin = audio.copy(frame)
    assert np.array_equal(audio.samples(twin), audio.samples(frame))
    assert (twin.pts, twin.time_base, twin.sample_rate) == (7, frame.time_base, 48_000)
    assert audio.meta(twin).extra == {"note": 1}
    audio.meta(twin).extra["note"] = 2
    for plane in twin.planes:
        plane.update(b"\x01" * plane.buffer_size)
    assert audio.meta(frame).extra == {"note": 1}
    assert np.allclose(audio.samples(frame), x, atol=1 / 100)


# --- meta


def test_meta_belongs_to_its_frame_alone() -> None:
    frames = [audio.silence(1, pts=n) for n in range(100)]
    for n, frame in enumerate(frames):
        audio.meta(frame).captured_at = float(n)
    del frames[::2]  # PyAV keeps opaque values by identity: one that dies must take no other along
    assert [audio.meta(frame).captured_at for frame in frames] == [
        float(n) for n in range(1, 100, 2)
    ]


def test_copy_meta_of_an_unmarked_frame_makes_none() -> None:
    source, target = audio.silence(1, pts=0), audio.silence(1, pts=1)
    audio.copy_meta(source, target)
    assert target.opaque is None


# --- slices, durations, levels


@given(
    rate=st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]),
    start=st.integers(0, 10**9),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
)
def test_slices_are_the_same_however_the_stream_is_cut(
    rate: int, start: int, sizes: list[int]
) -> None:
    total = sum(sizes)

    def ends(frames: list[AudioFrame]) -> list[int]:
        return [(frame.pts or 0) + end for frame in frames for end in audio.slice_ends(frame)]

    data = np.zeros(total, np.int16)
    whole = ends(cut(data, total, sample_rate=rate, pts=start))
    assert ends(cut(data, sizes, sample_rate=rate, pts=start)) == whole
    assert all(start < end <= start + total for end in whole)
    assert all(abs(b - a - rate / 50) < 1 for a, b in pairwise(whole))
    assert abs(len(whole) - total * 50 / rate) <= 1


def test_a_slice_of_canonical_audio_ends_each_960_samples() -> None:
    assert audio.slice_ends(audio.silence(1920, pts=9600)) == [960, 1920]
    assert audio.slice_ends(audio.silence(100, pts=900)) == [60]
    assert audio.slice_ends(audio.silence(50, pts=900)) == []


def test_duration_and_level() -> None:
    frame = tone(seconds=0.5, level_dbfs=-12, frame_ms=500)[0]
    assert audio.duration_ms(frame) == 500
    assert audio.level_dbfs(frame) == pytest.approx(-12, abs=0.01)
    floats = frame_of(audio.samples(frame), "fltp")
    assert audio.level_dbfs(floats) == pytest.approx(-12, abs=0.01)


# --- the rules of links


def test_good_frames_pass_and_a_hole_is_one_of_them() -> None:
    first, second, third = tone(seconds=0.06)
    audio.check_frame(second, first)
    audio.check_frame(third, first)
    audio.check_frame(audio.silence(1, pts=0, sample_rate=8000), third)  # another stream's count


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda frame: setattr(frame, "pts", None), "needs pts"),
        (lambda frame: setattr(frame, "time_base", Fraction(1, 1000)), "time_base is 1/1000"),
        (lambda frame: setattr(frame, "sample_rate", 16_000), "not 1/16000"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_told_which(damage: object, said: str) -> None:
    frame = audio.silence(960, pts=0)
    damage(frame)  # type: ignore[operator]
    with pytest.raises(FormatError, match=said):
        audio.check_frame(frame)


@given(
    st.one_of(st.just(0), st.integers(-10, 10), st.integers(-(2**60), 2**60)),
    st.integers(1, 400_000),
    st.fractions(0, 1, max_denominator=400_000),
)
def test_any_other_time_base_is_refused(pts: int, rate: int, base: Fraction) -> None:
    frame = audio.stamp(audio.silence(1, pts=0), sample_rate=rate, pts=pts)
    audio.check_frame(frame)
    frame.time_base = base
    if base != Fraction(1, rate):
        with pytest.raises(FormatError, match="time_base"):
            audio.check_frame(frame)


def test_empty_and_overlapping_frames_are_refused() -> None:
    with pytest.raises(FormatError, match="needs samples"):
        audio.check_frame(AudioFrame(format="s16", layout="mono", samples=0))
    with pytest.raises(FormatError, match="overlaps"):
        audio.check_frame(audio.silence(10, pts=9), audio.silence(10, pts=0))
