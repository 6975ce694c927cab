"""mix: aligned, at the levels asked for, never waiting long for who is late."""

from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.media_files import read_wav, write_wav
from rtpipe import AudioFrame, ExitCode, StageError, audio
from rtpipe.audio import check_frame
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import Bench, check_stage, cut, joined, noise, run_virtual, tone
from rtpipe_plugins.transforms.mix.stage import Mix

Step: TypeAlias = "tuple[int, AudioFrame] | int"
"""An inlet's frame; or an inlet that has ended."""


def mixed(options: dict[str, Any], steps: list[Step], *, live: bool = False) -> list[AudioFrame]:
    async def run() -> list[AudioFrame]:
        bench = Bench(Mix, options, live=live)
        made: list[AudioFrame] = []
        async with bench.opened():
            for step in steps:
                if isinstance(step, int):
                    made += bench.stage.ended_at(step)
                else:
                    made += bench.stage.process_at(step[1], step[0])
            made += bench.stage.finish()
        return made

    frames = run_virtual(run())
    for before, frame in zip([None, *frames], frames, strict=False):
        check_frame(frame, before)
    return frames


def line(frames: list[AudioFrame]) -> NDArray[np.int64]:
    """The frames on a line from pts 0; holes are -1."""
    last = frames[-1]
    out = np.full((last.pts or 0) + last.samples, -1, np.int64)
    for frame in frames:
        out[frame.pts or 0 : (frame.pts or 0) + frame.samples] = audio.pcm(frame)[:, 0]
    return out


def flat(value: int, samples: int) -> NDArray[np.int16]:
    return np.full(samples, value, np.int16)


@pytest.mark.parametrize(
    "options", [{}, {"gains": {"first": 6}, "duck": {"by": "first"}}, {"duck": {"by": "second"}}],
    ids=str,
)  # fmt: skip
def test_it_keeps_the_contract_to_the_last_bit(options: dict[str, Any]) -> None:
    check_stage(Mix, options, tolerance=0)


def test_inputs_are_added_at_their_levels_and_the_longest_decides_the_length() -> None:
    one, two = flat(1000, 9600), flat(2000, 4000)
    steps: list[Step] = [*((0, f) for f in cut(one)), *((1, f) for f in cut(two)), 1, 0]
    out = line(mixed({"gains": {"first": -20}}, steps))
    assert len(out) == 9600
    assert np.all(out[:4000] == 2100)
    assert np.all(out[4000:] == 100)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.integers(50, 3000), st.integers(50, 3000)),
    order=st.integers(0, 1000),
    duck=st.booleans(),
)
def test_in_what_order_and_frames_files_come_makes_no_difference(
    sizes: tuple[int, int], order: int, duck: Any
) -> None:
    streams = [joined(noise(seconds=0.2, seed=n, level_dbfs=-9)) for n in (1, 2)]
    streams[1] = streams[1][:6000]
    options = {"duck": {"by": "second", "attack_ms": 5, "release_ms": 30}} if duck else {}

    def steps(sizes: tuple[int, int]) -> list[list[Step]]:
        return [[*((n, f) for f in cut(streams[n], sizes[n])), n] for n in (0, 1)]

    queues, chance = steps(sizes), Random(order)
    woven: list[Step] = []
    while any(queues):
        woven.append(chance.choice([queue for queue in queues if queue]).pop(0))
    plain = [step for queue in steps((960, 960)) for step in queue]
    assert np.array_equal(line(mixed(options, woven)), line(mixed(options, plain)))


def test_a_live_input_that_lags_is_waited_for_60_ms_and_no_longer() -> None:
    one = [(0, frame) for frame in cut(flat(7, 960 * 10))]
    second = cut(flat(5, 960))[0]
    frames = mixed({}, [(1, second), *one[:4]], live=True)
    before = mixed({}, [(1, second), *one], live=True)
    assert np.array_equal(line(frames)[:960], flat(12, 960))
    assert np.array_equal(line(before), [*flat(12, 960), *flat(7, 960 * 9)])

    async def given_at_once(count: int) -> int:
        bench = Bench(Mix, {}, live=True)
        async with bench.opened():
            steps = [(1, second), *one[:count]]
            return sum(f.samples for n, frame in steps for f in bench.stage.process_at(frame, n))

    assert run_virtual(given_at_once(4)) == 960  # 60 ms behind: waited for
    assert run_virtual(given_at_once(5)) == 3 * 960  # gone on, 40 ms held for its return


def test_who_comes_back_late_is_heard_from_then_on() -> None:
    one = [(0, frame) for frame in cut(flat(7, 960 * 20))]
    back = [(1, frame) for frame in cut(flat(5, 960 * 4))]
    steps: list[Step] = [*one[:10], back[0], one[10], back[1], one[11], back[2], one[12], back[3]]
    out = line(mixed({}, steps, live=True))
    assert np.count_nonzero(out == 12) + np.count_nonzero(out == 5) == 4 * 960
    assert len(out) == 13 * 960


def test_live_inputs_are_aligned_by_when_they_were_heard() -> None:
    first, second = cut(flat(7, 960)), cut(flat(5, 960), pts=5000)
    audio.meta(first[0]).captured_at = 2.0
    audio.meta(second[0]).captured_at = 2.01
    frames = mixed({}, [(0, first[0]), (1, second[0])], live=True)
    assert np.array_equal(line(frames), [*flat(7, 480), *flat(12, 480), *flat(5, 480)])
    assert audio.meta(frames[0]).captured_at == 2.0


def test_what_was_heard_before_the_mix_began_is_left_out() -> None:
    first, second = cut(flat(7, 960))[0], cut(flat(5, 960))[0]
    audio.meta(first).captured_at = 2.0
    audio.meta(second).captured_at = 1.99
    frames = mixed({}, [(0, first), (1, second)], live=True)
    assert np.array_equal(line(frames), [*flat(12, 480), *flat(7, 480)])


def test_an_input_that_has_ended_is_not_waited_for() -> None:
    async def given_at_once(live: Any) -> int:
        bench = Bench(Mix, {}, live=live)
        stage = bench.stage
        async with bench.opened():
            steps = cut(flat(7, 4800))
            before = [made for frame in steps for made in stage.process_at(frame, 0)]
            before += stage.ended_at(1)
            after = [f for n in cut(flat(7, 960), pts=4800) for f in stage.process_at(n, 0)]
            return sum(frame.samples for frame in [*before, *after])

    assert run_virtual(given_at_once(live=True)) == 5760
    assert run_virtual(given_at_once(live=False)) == 5760


def test_where_nobody_has_audio_there_is_a_hole() -> None:
    steps: list[Step] = [
        *((0, f) for f in [*cut(flat(1, 960), pts=480), *cut(flat(1, 960), pts=9600)]),
        *((1, f) for f in cut(flat(2, 960), pts=960)),
    ]
    out = line(mixed({}, steps))
    assert np.array_equal(
        out, [*flat(-1, 480), *flat(1, 480), *flat(3, 480), *flat(2, 480), *flat(-1, 7680),
              *flat(1, 960)],
    )  # fmt: skip


def test_loud_sums_bend_instead_of_clipping_and_quiet_ones_stay() -> None:
    rising = np.arange(0, 32767, 7, dtype=np.int16)
    out = line(mixed({}, [(0, f) for f in cut(rising)] + [(1, f) for f in cut(rising)]))
    assert np.all(np.diff(out) >= 0)
    assert 32700 <= out[-1] <= 32767
    assert np.sum(out == 32767) < 20
    assert np.array_equal(out[rising < 11_000], 2 * rising[rising < 11_000])


def test_music_is_softer_under_speech_and_comes_back() -> None:
    music = tone(300, seconds=3, level_dbfs=-20)
    speech = np.concatenate([flat(0, 48_000), joined(tone(2000, seconds=1))[:, 0], flat(0, 48_000)])
    options = {"duck": {"by": "second", "gain_db": -18, "attack_ms": 20, "release_ms": 200}}
    steps: list[Step] = [*((0, f) for f in music), *((1, f) for f in cut(speech))]
    out = line(mixed(options, steps)) / 32768

    def dbfs(begin_s: float, end_s: float, hz: int = 300) -> float:
        part = out[round(begin_s * 48_000) : round(end_s * 48_000)]
        power = np.abs(np.fft.rfft(part)) ** 2
        near = np.abs(np.fft.rfftfreq(len(part), 1 / 48_000) - hz) < 20
        return float(10 * np.log10(2 * power[near].sum() / len(part) ** 2))

    assert dbfs(0.2, 0.9) == pytest.approx(-20, abs=0.1)
    assert dbfs(1.2, 1.9) == pytest.approx(-38, abs=0.2)
    assert dbfs(1.2, 1.9, 2000) == pytest.approx(-20, abs=0.1)
    assert dbfs(2.3, 2.9) == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize("options", [{"gains": {"third": 1}}, {"duck": {"by": "third"}}], ids=str)
def test_an_id_that_is_no_input_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StageError, match="no input `third`") as refusal:
        mixed(options, [])
    assert refusal.value.help == "its inputs are first, second"
    assert refusal.value.exit_code == ExitCode.CONFIGURATION


async def test_in_a_pipeline_the_mix_is_the_sum_and_as_long_as_the_longest(tmp_path: Path) -> None:
    short = write_wav(tmp_path / "short.wav", np.arange(5000, dtype=np.int16))
    long = write_wav(tmp_path / "long.wav", (np.arange(70_000) % 999).astype(np.int16))
    text = f"""
version: 1
stages:
  - file: {short}
    id: short
  - file: {long}
    id: long
  - mix: {{gains: {{short: -120}}}}
    from: [short, long]
  - file_sink: {tmp_path / "mix.wav"}
"""
    await Pipeline(from_text(text).graph, check=True).run()
    heard, _ = read_wav(tmp_path / "mix.wav")
    expected, _ = read_wav(long)
    assert np.array_equal(heard, expected)


@pytest.mark.parametrize("live", [True, False])
def test_an_input_whose_stamps_jump_by_years_goes_on_in_its_place(*, live: bool) -> None:
    one, other = cut(joined(noise(seconds=1.0))[:, 0]), cut(np.zeros(48_000, np.int16))
    for frame in one[25:]:
        frame.pts = (frame.pts or 0) + 10**12
    steps: list[Step] = [step for pair in zip(one, other, strict=True) for step in enumerate(pair)]
    frames = mixed({}, steps, live=live)
    assert (frames[-1].pts or 0) + frames[-1].samples == 48_000
    assert np.array_equal(joined(frames)[:, 0], joined(noise(seconds=1.0))[:, 0])
