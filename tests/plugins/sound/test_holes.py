"""Silence where a stream has a hole."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe import Event, StageContext, audio
from rtpipe.bus import Bus
from rtpipe.clock import Clock
from rtpipe_plugins.sound.holes import GapFiller
from rtpipe_plugins.sound.time_stamps import LONGEST_HOLES_S


class At(Clock):
    """A clock that stands."""

    def __init__(self, now_s: float) -> None:
        super().__init__()
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s


def context(events: list[Event] | None = None, now_s: float = 0.0) -> StageContext:
    publish = (lambda _event: None) if events is None else events.append
    return StageContext("sink", At(now_s), publish, Bus().subscribe)


def tone(pts: int, samples: int = 100, rate: int = 8000) -> audio.AudioFrame:
    return audio.from_pcm(np.full((samples, 2), 7, np.int16), sample_rate=rate, pts=pts)


def test_a_hole_becomes_as_much_silence_and_the_first_frame_is_the_beginning() -> None:
    filler = GapFiller(context())
    parts = [part for pts in (500, 600, 850) for part in filler.filled(tone(pts))]
    out = np.concatenate(parts)
    assert out.shape == (450, 2)
    assert np.array_equal(np.flatnonzero(out[:, 0] == 0), np.arange(200, 350))


def test_a_long_hole_is_never_held_at_once() -> None:
    filler = GapFiller(context())
    list(filler.filled(tone(0)))
    sizes = [len(part) for part in filler.filled(tone(100 + 20_500))]
    assert sizes == [8000, 8000, 4500, 100]


def test_what_overlaps_is_no_hole() -> None:
    filler = GapFiller(context())
    list(filler.filled(tone(0)))
    assert [len(part) for part in filler.filled(tone(50))] == [100]


@pytest.mark.parametrize(("format", "silent"), [("u8", 128), ("s32", 0), ("flt", 0)])
def test_silence_is_what_the_format_calls_so(format: str, silent: int) -> None:
    filler = GapFiller(context())
    for pts in (0, 20):
        parts = list(filler.filled(audio.silence(10, pts=pts, format=format)))
    assert parts[0].dtype == parts[1].dtype
    assert np.all(parts[0] == silent)
    assert np.array_equal(parts[0], parts[1])


def samples_out(filler: GapFiller, stamps: Iterable[int]) -> int:
    return sum(len(part) for pts in stamps for part in filler.filled(tone(pts)))


def test_a_jump_of_years_makes_no_silence_and_is_told() -> None:
    events: list[Event] = []
    filler = GapFiller(context(events))
    assert samples_out(filler, [0, 100, 10**12, 10**12 + 100, 10**12 + 300]) == 600
    (event,) = events
    assert event.type == "timestamps.rebased"
    assert "jumped by 125000000 s: not believed" in event.line()


def test_many_jumps_are_told_in_few_words_with_their_number() -> None:
    events: list[Event] = []
    filler = GapFiller(context(events))
    assert samples_out(filler, (n * 10**12 for n in range(101))) == 101 * 100
    assert [event.payload()["jumps"] for event in events] == [1, 2, 4, 8, 16, 32, 64]


def test_a_stream_may_be_silent_for_as_long_as_the_pipeline_runs() -> None:
    hours = 8 * 3600
    for now_s, samples in ((0.0, 200), (hours, hours * 8000 + 100)):
        filler = GapFiller(context(now_s=now_s))
        assert samples_out(filler, [0, hours * 8000]) == samples


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 10**9), max_size=20))
def test_whatever_the_time_stamps_say_the_holes_have_a_bound(stamps: list[int]) -> None:
    heard = 100 * len(stamps)
    out = samples_out(GapFiller(context()), stamps)
    assert heard <= out <= 2 * heard + LONGEST_HOLES_S * 8000
