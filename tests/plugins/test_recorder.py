"""recorder: every voice on its own track, in its place in time, whatever happens to the process."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from media_files import lag, read_tracks, read_wav
from rtpipe import AudioFrame, Event, StageError, audio
from rtpipe.testing import Bench, check_stage, cut, joined, noise, run_virtual
from rtpipe_plugins.alignment import Aligner
from rtpipe_plugins.recorder import Recorder, RecorderOptions

RATE = 48_000
Arrival = tuple[int, AudioFrame]


def voice(seconds: float, seed: int = 0, *, level_dbfs: float = -20) -> NDArray[np.int16]:
    return joined(noise(seconds=seconds, seed=seed, level_dbfs=level_dbfs))[:, 0]


def heard(data: NDArray[np.int16], *, at_s: float | None, pts: int = 0) -> list[AudioFrame]:
    """Return live frames of `data`, its first sample captured at a pipeline second."""
    frames = cut(data, pts=pts)
    if at_s is not None:
        for frame in frames:
            audio.meta(frame).captured_at = at_s + ((frame.pts or 0) - pts) / RATE
    return frames


def in_turn(*streams: list[AudioFrame]) -> list[Arrival]:
    """Return the frames in the order in which they were captured."""
    arrivals = [(inlet, frame) for inlet, stream in enumerate(streams) for frame in stream]
    return sorted(arrivals, key=lambda a: (audio.meta(a[1]).captured_at or 0.0, a[1].pts or 0))


def recorded(
    path: Path,
    arrivals: Iterable[Arrival | Callable[[Bench], object]],
    *,
    inputs: tuple[str, ...] = ("visitor", "desk"),
    frame_ms: int = 20,
    **options: Any,
) -> Bench:
    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, **options}, frame_ms=frame_ms)
        bench.context.inputs = inputs  # type: ignore[attr-defined]
        async with bench.opened():
            for arrival in arrivals:
                if isinstance(arrival, tuple):
                    await bench.stage.consume_at(arrival[1], arrival[0])
                else:
                    arrival(bench)
            await bench.stage.drain()
        return bench

    return run_virtual(run())


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_stage(Recorder, {"path": tmp_path / "a.mka"})
    check_stage(Recorder, {"path": tmp_path / "a.wav", "overwrite": True, "sidecar": False})


@pytest.mark.parametrize("codec", ["opus", "flac", "pcm"])
def test_each_voice_has_its_track_in_its_place(tmp_path: Path, codec: str) -> None:
    visitor, desk = voice(2.0, 1), voice(1.5, 2)
    arrivals = in_turn(heard(visitor, at_s=3.0), heard(desk, at_s=4.25, pts=123_456))
    recorded(tmp_path / "a.mka", arrivals, codec=codec)
    first, second = read_tracks(tmp_path / "a.mka")
    assert abs(lag(visitor, first)) <= 0.020 * RATE
    assert abs(lag(desk, second) - 1.25 * RATE) <= 0.020 * RATE
    if codec != "opus":
        assert np.array_equal(np.rint(first[:96_000] * 32768), visitor)
        assert np.array_equal(np.rint(second[60_000:] * 32768), desk)
        assert not second[:60_000].any()


def test_tracks_carry_the_names_of_the_inputs(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mka", in_turn(heard(voice(0.5), at_s=0.0)))
    with av.open(str(tmp_path / "a.mka")) as container:
        assert [s.metadata["title"] for s in container.streams] == ["visitor", "desk"]
        assert [s.codec_context.name for s in container.streams] == ["opus", "opus"]


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


def test_stereo_has_the_first_input_left_and_the_second_right(tmp_path: Path) -> None:
    visitor, desk = voice(1.0, 1), voice(0.5, 2)
    recorded(tmp_path / "a.wav", in_turn(heard(visitor, at_s=0.5), heard(desk, at_s=0.75)))
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    assert np.array_equal(data[12_000:36_000, 1], desk)


def test_one_input_is_mono_and_a_mix_is_a_sum_that_does_not_wrap(tmp_path: Path) -> None:
    one, two = np.full(4800, 30_000, np.int16), np.full(4800, 20_000, np.int16)
    recorded(tmp_path / "one.wav", in_turn(heard(one, at_s=0.0)), inputs=("mic",))
    assert np.array_equal(read_wav(tmp_path / "one.wav")[0][:, 0], one)
    recorded(
        tmp_path / "mix.wav", in_turn(heard(one, at_s=0.0), heard(-two, at_s=0.0)), layout="mix"
    )
    assert set(read_wav(tmp_path / "mix.wav")[0][:, 0]) == {10_000}
    recorded(
        tmp_path / "loud.wav", in_turn(heard(one, at_s=0.0), heard(two, at_s=0.0)), layout="mix"
    )
    assert set(read_wav(tmp_path / "loud.wav")[0][:, 0]) == {32_767}


def test_files_are_aligned_by_pts_and_one_may_run_far_ahead(tmp_path: Path) -> None:
    first, second = voice(10.0, 1), voice(3.0, 2)
    arrivals = [(0, f) for f in cut(first, 9600)] + [(1, f) for f in cut(second, 9600, pts=48_000)]
    recorded(tmp_path / "a.wav", arrivals, frame_ms=200)
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
    assert "desk came 3600 ms too late" in caplog.text
    assert np.array_equal(data[172_800:196_800, 1], desk)


def test_what_was_heard_before_the_beginning_is_left_out(tmp_path: Path) -> None:
    visitor, desk = voice(0.5, 1), voice(0.5, 2)
    arrivals = [(0, f) for f in heard(visitor, at_s=1.0)] + [(1, f) for f in heard(desk, at_s=0.9)]
    recorded(tmp_path / "a.wav", arrivals)
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    assert np.array_equal(data[: 24_000 - 4800, 1], desk[4800:])


def test_the_sidecar_tells_what_happened_in_the_recordings_own_time(tmp_path: Path) -> None:
    def say(bench: Bench) -> None:
        bench.bus.publish(Event(type="vad.speech_started", source="vad", at=5.25))

    frames = in_turn(heard(voice(1.0), at_s=5.0))
    bench = recorded(tmp_path / "a.mka", [*frames[:25], say, *frames[25:]])
    lines = [json.loads(line) for line in (tmp_path / "a.events.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines] == [
        "recorder.started",
        "vad.speech_started",
        "recorder.stopped",
    ]
    assert lines[0]["tracks"] == ["visitor", "desk"]
    assert lines[0]["zero_s"] == 5.0
    assert lines[1] == {"type": "vad.speech_started", "source": "vad", "at": 0.25}
    (stopped,) = bench.run.of_type("recorder.stopped")
    assert stopped.payload() == {"path": str(tmp_path / "a.mka"), "duration_s": 1.0}


def test_without_a_sidecar_there_is_none(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mka", in_turn(heard(voice(0.1), at_s=0.0)), sidecar=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mka"]


def test_it_takes_another_name_rather_than_overwrite(tmp_path: Path) -> None:
    for _ in range(3):
        recorded(tmp_path / "a.wav", in_turn(heard(voice(0.1), at_s=0.0)), sidecar=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.wav", "a-3.wav", "a.wav"]
    recorded(
        tmp_path / "a.wav", in_turn(heard(voice(0.2), at_s=0.0)), sidecar=False, overwrite=True
    )
    assert len(read_wav(tmp_path / "a.wav")[0]) == 9600


def test_where_nothing_came_there_is_no_file(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mka", [])
    assert list(tmp_path.iterdir()) == []


def test_layouts_that_a_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="holds one track"):
        RecorderOptions(path=Path("a.wav"), layout="tracks")
    with pytest.raises(StageError, match="stereo holds two inputs, not 3"):
        recorded(tmp_path / "a.mka", [], inputs=("a", "b", "c"), layout="stereo")


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    frames = in_turn(heard(voice(5.0), at_s=0.0))
    (tmp_path / "full.mka").symlink_to("/dev/full")
    with pytest.raises(StageError, match=r"cannot write .*full\.mka: No space left on device"):
        recorded(tmp_path / "full.mka", frames, overwrite=True, sidecar=False)


def test_a_silent_voice_holds_the_other_back_for_a_moment_only() -> None:
    aligner = Aligner(2, patience=2 * RATE, grace=RATE // 5)
    held = []
    for n in range(500):
        list(aligner.add(0, n * 960, np.ones(960, np.int16)))
        held.append(((n + 1) * 960 - aligner.given) / RATE)
    assert max(held) == pytest.approx(2.0, abs=0.02)
    assert held[-1] == pytest.approx(0.2, abs=0.001)


PROGRAM = """
import asyncio, sys
from pathlib import Path
import numpy as np
from rtpipe import audio
from rtpipe.testing import Bench
from rtpipe_plugins.recorder import Recorder

async def main():
    bench = Bench(Recorder, {"path": Path(sys.argv[1])})
    bench.context.inputs = ("visitor", "desk")
    noise = np.random.default_rng(0)
    async with bench.opened():
        for n in range(10_000):
            await bench.context.clock.sleep_until(n * 0.02)
            for inlet in range(int(sys.argv[2])):
                data = noise.integers(-3000, 3000, 960, dtype=np.int16)
                frame = audio.from_pcm(data, sample_rate=48_000, pts=n * 960)
                audio.meta(frame).captured_at = n * 0.02
                await bench.stage.consume_at(frame, inlet)
            print((n + 1) * 0.02, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "voices"), [("mka", "1"), ("mka", "2"), ("wav", "2")])
def test_a_kill_loses_less_than_a_second(tmp_path: Path, ending: str, voices: str) -> None:
    path = tmp_path / f"killed.{ending}"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), voices], stdout=subprocess.PIPE, text=True
    ) as process:
        time.sleep(5.37)  # past the patience with a silent voice
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        given_s = float(process.stdout.read().split()[-1])
    assert given_s > 3
    lost = {given_s - len(track) / RATE for track in read_tracks(path)}
    assert max(lost) < 1.0, lost
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == (2 if ending == "mka" else 1)
    sidecar = path.with_suffix(".events.jsonl").read_text().splitlines()
    assert json.loads(sidecar[0])["type"] == "recorder.started"
