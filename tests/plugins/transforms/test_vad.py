"""vad: it says when speech begins and ends, marks every slice, and changes no sample."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtpipe import AudioFrame, audio
from rtpipe.testing import StageRun, check_stage, cut, joined, run_stage, run_virtual, speech_like
from rtpipe_plugins.transforms.vad import Vad


def voice(seconds: float, *, sample_rate: int = 48_000, layout: str = "mono") -> NDArray[np.int16]:
    return joined(speech_like(seconds=seconds, sample_rate=sample_rate, layout=layout))


def quiet(seconds: float, *, sample_rate: int = 48_000, channels: int = 1) -> NDArray[np.int16]:
    return np.zeros((round(seconds * sample_rate), channels), np.int16)


def heard(frames: list[AudioFrame], options: dict[str, Any] | None = None) -> StageRun:
    return run_virtual(run_stage(Vad, options or {}, frames))


def told(run: StageRun) -> list[tuple[str, int]]:
    return [
        (event.type.removeprefix("vad.speech_"), event.as_dict()["at_ms"]) for event in run.events
    ]


def verdicts(run: StageRun) -> list[bool]:
    marks = [audio.meta(frame).speech for frame in run.frames]
    return [verdict for mark in marks for verdict in mark or ()]


DIALOGUE = np.concatenate([quiet(0.5), voice(1.0), quiet(1.0), voice(0.8), quiet(0.7)])


def test_it_keeps_the_contract() -> None:
    for options in ({}, {"aggressiveness": 3, "frame_ms": 30}, {"frame_ms": 10}):
        check_stage(Vad, options, tolerance=0)


def test_it_tells_when_speech_began_and_ended() -> None:
    run = heard(cut(DIALOGUE))
    assert [name for name, _ in told(run)] == ["started", "stopped"] * 2
    for (_, at_ms), expected in zip(told(run), (500, 1500, 2500, 3300), strict=True):
        assert expected - 20 <= at_ms <= expected + 140  # the detector has a hangover of its own


def test_the_samples_pass_as_they_are() -> None:
    assert np.array_equal(joined(heard(cut(DIALOGUE)).frames), DIALOGUE)


def test_every_slice_is_marked_from_the_detection_to_the_end_of_the_silence() -> None:
    run = heard(cut(DIALOGUE), {"min_speech_ms": 100, "min_silence_ms": 300})
    marks = verdicts(run)
    assert len(marks) == len(DIALOGUE) // 960
    (_, began), (_, ended), *_ = told(run)
    assert not any(marks[: (began + 80) // 20])
    assert all(marks[(began + 100) // 20 : (ended + 280) // 20])
    assert not marks[(ended + 300) // 20]


def test_a_short_noise_is_no_speech_and_a_short_pause_no_end() -> None:
    click = np.concatenate([quiet(0.5), voice(0.03), quiet(1.0)])
    assert told(heard(cut(click), {"min_speech_ms": 300})) == []
    breath = np.concatenate([quiet(0.2), voice(0.5), quiet(0.2), voice(0.5), quiet(1)])
    assert len(told(heard(cut(breath)))) == 2


def test_speech_that_the_end_of_the_stream_cuts_off_is_over() -> None:
    run = heard(cut(voice(1.0)))
    assert told(run) == [("started", 0), ("stopped", 1000)]


def test_a_hole_counts_as_silence() -> None:
    before, after = cut(voice(1.0)), cut(voice(1.0), pts=48_000 * 11)
    assert told(heard([*before, *after])) == [
        ("started", 0),
        ("stopped", 1000),
        ("started", 11_000),
        ("stopped", 12_000),
    ]
    soon = cut(voice(1.0), pts=48_000 + 4800)
    assert told(heard([*before, *soon])) == [("started", 0), ("stopped", 2100)]


def test_reset_forgets_the_voice() -> None:
    first, second = cut(voice(1.0)), cut(voice(1.0), pts=48_000)
    run = heard([*first, lambda vad: vad.reset(), *second])  # type: ignore[list-item]
    assert told(run) == [("started", 0), ("stopped", 1000), ("started", 1000), ("stopped", 2000)]


@pytest.mark.parametrize(
    ("sample_rate", "layout"),
    [(48_000, "stereo"), (44_100, "mono"), (16_000, "mono"), (8_000, "mono"), (32_000, "stereo")],
)
def test_any_rate_and_layout_is_heard(sample_rate: int, layout: str) -> None:
    channels = 2 if layout == "stereo" else 1
    data = np.concatenate(
        [
            quiet(0.5, sample_rate=sample_rate, channels=channels),
            voice(1.0, sample_rate=sample_rate, layout=layout),
            quiet(1.0, sample_rate=sample_rate, channels=channels),
        ]
    )
    run = heard(cut(data, sample_rate // 50, sample_rate=sample_rate))
    assert np.array_equal(joined(run.frames), data)
    (_, began), (_, ended) = told(run)
    assert abs(began - 500) <= 40
    assert abs(ended - 1500) <= 140
    assert len(verdicts(run)) == 125


def test_the_fast_way_from_48_khz_judges_as_a_real_conversion_does() -> None:
    """Stereo goes through the converter, mono through a mean of three."""
    mono = verdicts(heard(cut(DIALOGUE)))
    stereo = verdicts(heard(cut(np.repeat(DIALOGUE, 2, axis=1))))
    same = np.mean(np.array(mono[:-1]) == np.array(stereo[1:]))  # the converter holds 1 ms back
    assert same > 0.97


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6).filter(lambda s: sum(s) > 100),
    frame_ms=st.sampled_from([10, 20, 30]),
    start=st.integers(0, 100_000),
    case=st.sampled_from([(48_000, 1), (48_000, 2), (44_100, 1), (16_000, 1), (8_000, 2)]),
)
def test_how_the_stream_is_cut_makes_no_difference(
    sizes: list[int], frame_ms: int, start: int, case: tuple[int, int]
) -> None:
    rate, channels = case
    layout = "mono" if channels == 1 else "stereo"
    loud = voice(0.4, sample_rate=rate, layout=layout)
    data = np.concatenate([quiet(0.1, sample_rate=rate, channels=channels), loud, loud // 200])
    options = {"frame_ms": frame_ms, "min_silence_ms": 100}
    whole = heard(cut(data, len(data), sample_rate=rate, pts=start), options)
    parts = heard(cut(data, sizes, sample_rate=rate, pts=start), options)
    assert verdicts(parts) == verdicts(whole)
    assert told(parts) == told(whole)
    for frame in parts.frames:
        assert len(audio.meta(frame).speech or ()) == len(audio.slice_ends(frame))


def test_a_converters_delay_does_not_show_where_a_frame_ends() -> None:
    """It holds back the last millisecond of each frame, and so the verdict of its last window."""
    data = np.concatenate([voice(0.5, sample_rate=44_100), quiet(0.5, sample_rate=44_100)])
    options = {"min_silence_ms": 100}
    whole = heard(cut(data, len(data), sample_rate=44_100), options)
    parts = heard(cut(data, 882, sample_rate=44_100), options)
    assert verdicts(parts) == verdicts(whole)


def judged(pattern: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what is told when a detector judges 20 ms windows like `pattern` (`s` is speech)."""
    script = iter(pattern)

    def judge(windows: bytes) -> bytes:
        return bytes([next(script) == "s" for _ in range(len(windows) // 640)])

    monkeypatch.setattr("rtpipe_plugins.transforms.vad._webrtc", lambda _: judge)
    return told(heard(cut(quiet(0.02 * len(pattern))), options))


def test_speech_counts_from_so_many_windows_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"min_speech_ms": 60, "min_silence_ms": 60}
    assert judged("ss.ss.ss....", options, monkeypatch) == []
    assert judged("..sss...", options, monkeypatch) == [("started", 40), ("stopped", 100)]


def test_silence_counts_from_so_many_windows_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"min_speech_ms": 0, "min_silence_ms": 60}
    assert judged("s..s..s...s.", options, monkeypatch) == [
        ("started", 0),
        ("stopped", 140),
        ("started", 200),
        ("stopped", 220),
    ]


def test_a_missing_fast_module_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = heard(cut(DIALOGUE))
    import sys

    import webrtcvad  # noqa: F401 - in memory before the module below is hidden

    monkeypatch.setitem(sys.modules, "_webrtcvad", None)
    assert verdicts(heard(cut(DIALOGUE))) == verdicts(fast)
