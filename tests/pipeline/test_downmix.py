"""Downmix: whatever the layout, every channel is heard, nothing clips, and it is said once."""

import av
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtpipe import AudioFormat, AudioFrame, Converter, audio
from rtpipe.convert import downmix_matrix
from rtpipe.testing import joined

SPEAKERS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC"),
    *("SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
LAYOUTS = st.one_of(
    st.integers(3, 64).map("{} channels".format),
    st.sets(st.sampled_from(SPEAKERS), min_size=3).map(
        lambda mask: "+".join(sorted(mask, key=SPEAKERS.index))
    ),
    st.sampled_from(["2.1", "3.0", "4.0", "quad(side)", "5.1", "5.1(side)", "7.1(wide)", "22.2"]),
)
"""By number alone, by any mask, and by name."""


def channels_of(layout: str) -> int:
    return av.AudioLayout(layout).nb_channels


def frames_of(layout: str, data: NDArray[np.int16]) -> list[AudioFrame]:
    return [
        audio.from_pcm(data[at : at + 960], sample_rate=48_000, pts=at, layout=layout)
        for at in range(0, len(data), 960)
    ]


def converted(converter: Converter, frames: list[AudioFrame]) -> NDArray[np.int16]:
    out = [made for frame in frames for made in converter.process(frame)]
    data: NDArray[np.int16] = joined(out + converter.finish())
    return data


@settings(deadline=None, max_examples=60)
@given(layout=LAYOUTS, target=st.sampled_from(["mono", "stereo"]), data=st.data())
def test_any_one_of_any_channels_is_heard(layout: str, target: str, data: st.DataObject) -> None:
    count = channels_of(layout)
    alone = np.zeros((1920, count), np.int16)
    alone[:, data.draw(st.integers(0, count - 1))] = 20_000
    out = converted(Converter(AudioFormat(48_000, target, "s16")), frames_of(layout, alone))
    assert out.shape == (1920, channels_of(target))
    assert out.max() >= 20_000 * 0.5 / count


@settings(deadline=None, max_examples=60)
@given(layout=LAYOUTS, target=st.sampled_from(["mono", "stereo"]))
def test_full_scale_in_every_channel_does_not_clip(layout: str, target: str) -> None:
    weights = downmix_matrix(layout, target).sum(axis=0)
    assert (weights <= 1.0001).all()
    assert weights.max() > 0.999


@settings(deadline=None, max_examples=60)
@given(layout=LAYOUTS, rate=st.sampled_from([16_000, 44_100, 48_000]))
def test_rate_and_layout_change_together(layout: str, rate: int) -> None:
    loud = np.full((9600, channels_of(layout)), 9000, np.int16)
    out = converted(Converter(AudioFormat(rate, "mono", "s16")), frames_of(layout, loud))
    assert abs(len(out) - rate // 5) <= 2
    assert abs(int(out[rate // 10, 0]) - 9000) < 10


@settings(deadline=None, max_examples=30)
@given(names=st.permutations(["quad", "quad(side)", "4.0", "3.1", "4 channels", "FL+FR+LFE+TC"]))
def test_as_many_channels_keep_their_order_and_every_bit(names: list[str]) -> None:
    layout, target = names[:2]
    data = np.random.default_rng(1).integers(-32768, 32768, (1920, 4), dtype=np.int16)
    out = converted(Converter(AudioFormat(layout=target)), frames_of(layout, data))
    assert np.array_equal(out, data)


@settings(deadline=None, max_examples=40)
@given(layout=LAYOUTS, format=st.sampled_from(["fltp", "s16p", "s32p", "flt", "u8"]))
def test_planes_of_many_channels_are_mixed_too(layout: str, format: str) -> None:
    """PyAV lists planes that are not there from the eighth on, and crashes in them."""
    frame = audio.silence(960, pts=0, layout=layout, format="s16")
    audio.pcm(frame)[:] = 9000
    decoder_like = av.AudioResampler(format=format, layout=layout, rate=48_000)
    out = converted(Converter(AudioFormat(48_000, "mono", "s16")), decoder_like.resample(frame))
    assert abs(int(out[480, 0]) - 9000) < 300


def test_left_stays_left_and_what_has_no_side_is_on_both() -> None:
    matrix = downmix_matrix("5.1", "stereo")
    left, right, centre, lfe, back_left, back_right = matrix
    assert left[1] == right[0] == back_left[1] == back_right[0] == 0
    assert centre[0] == centre[1] == lfe[0] == lfe[1] > 0
    assert left[0] > back_left[0] > 0


def test_each_layout_is_told_once_and_stereo_to_mono_never() -> None:
    told: list[tuple[str, str]] = []
    converter = Converter(
        AudioFormat(layout="mono"), on_downmix=lambda a, b: told.append((a.name, b.name))
    )
    for layout in ("5.1", "stereo", "5.1", "quad", "5.1"):
        converted(converter, frames_of(layout, np.zeros((1920, channels_of(layout)), np.int16)))
    assert told == [("5.1", "mono"), ("quad", "mono")]
