"""Tracks stay in time with each other, whatever their clocks and their gaps do."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.media_files import lag, read_tracks
from rtpipe import AudioFrame, audio
from rtpipe.testing import Bench, joined, noise, run_virtual
from rtpipe_plugins.sinks.recorder.placement import Drift
from rtpipe_plugins.sinks.recorder.stage import Recorder

RATE = 48_000
PIECE = 9600
HOUR_S = 3600
SEGMENT_S = 300
WORD = joined(noise(seconds=0.5, level_dbfs=-20))[:, 0]


def words_every(period_s: int, first_s: int, ppm: float) -> dict[int, NDArray[np.int16]]:
    """Return where a word begins by a clock that is `ppm` too fast, in samples."""
    return {
        round(second * (1 + ppm * 1e-6) * RATE): WORD
        for second in range(first_s, HOUR_S - 5, period_s)
    }


def stream(
    words: dict[int, NDArray[np.int16]], ppm: float, seed: int, *, with_jumps: bool
) -> Iterator[AudioFrame]:
    """Yield an hour by a clock that is `ppm` too fast, told of up to 15 ms late.

    With jumps, nothing is sent but the two seconds round each word.
    """
    dice = random.Random(seed)
    starts = iter([*sorted(words), 1 << 60])
    word_at = next(starts)
    for pts in range(0, HOUR_S * RATE, PIECE):
        if pts > word_at + 2 * RATE:
            word_at = next(starts)
        if with_jumps and not -RATE < word_at - pts < RATE and pts:
            continue
        data = np.zeros(PIECE, np.int16)
        begin = max(word_at, pts)
        end = min(word_at + len(WORD), pts + PIECE)
        if begin < end:
            data[begin - pts : end - pts] = WORD[begin - word_at : end - word_at]
        frame = audio.from_pcm(data, sample_rate=RATE, pts=pts)
        late_s = dice.uniform(0, 0.015)
        audio.meta(frame).captured_at = 2.0 + pts / RATE / (1 + ppm * 1e-6) + late_s
        yield frame


@pytest.mark.slow
def test_after_an_hour_of_two_clocks_and_jumps_the_tracks_are_within_20_ms(
    tmp_path: Path,
) -> None:
    """The microphone is 80 ppm fast (288 ms in the hour), the desk 60 slow and full of holes."""
    mic = stream(words_every(60, 10, 80), 80, 1, with_jumps=False)
    desk = stream(words_every(60, 40, -60), -60, 2, with_jumps=True)

    async def run() -> None:
        options = {"path": tmp_path / "a.mka", "codec": "flac", "segment_s": SEGMENT_S}
        bench = Bench(Recorder, options, live=True)
        frames = sorted(
            [(frame, 0) for frame in mic] + [(frame, 1) for frame in desk],
            key=lambda arrival: audio.meta(arrival[0]).captured_at or 0.0,
        )
        async with bench.opened():
            for frame, inlet in frames:
                await bench.context.clock.sleep_until(audio.meta(frame).captured_at or 0.0)
                await bench.stage.consume_at(frame, inlet)
            await bench.stage.drain()

    run_virtual(run())
    errors: list[float] = []
    for number in range(HOUR_S // SEGMENT_S):
        name = "a.mka" if not number else f"a-{number + 1}.mka"
        for track, first in zip(read_tracks(tmp_path / name), (10, 40), strict=True):
            for second in range(first, SEGMENT_S - 5, 60):
                begin = (second - 1) * RATE
                found = lag(WORD, track[begin : begin + 3 * RATE]) - RATE
                errors.append(found / RATE * 1000)
    apart = max(
        abs(a - b)
        for n in range(0, len(errors), 10)
        for a, b in zip(errors[n : n + 5], errors[n + 5 : n + 10], strict=True)
    )
    worst = max(apart, *map(abs, errors))
    print(f"an hour: at most {worst:.2f} ms apart")  # noqa: T201 - the figure, by `pytest -rP`
    assert len(errors) == 120
    assert worst <= 20, errors


def test_drift_is_corrected_in_a_pause_or_after_a_while_without_one() -> None:
    drift = Drift(window=1000, tolerance=10)
    late = {at: drift.correction(at, at + 20, quiet=at == 1500) for at in range(0, 1600, 100)}
    assert {at: by for at, by in late.items() if by} == {1500: 20}
    drift = Drift(window=1000, tolerance=10)
    moves = [drift.correction(at, at - 30, quiet=False) for at in range(0, 2300, 100)]
    assert [by for by in moves if by] == [-30]


def test_what_is_told_late_now_and_then_is_no_drift() -> None:
    drift = Drift(window=1000, tolerance=10)
    late = (0, 300, 50, 400, 20)
    assert not any(
        drift.correction(at, at + late[at // 100 % 5], quiet=True) for at in range(0, 9000, 100)
    )
