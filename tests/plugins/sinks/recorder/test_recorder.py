"""recorder: every voice on its own track, in its place in time, whatever happens to the process."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from helpers.media_files import lag, read_tracks, read_wav
from rtpipe import AudioFrame, Event, StageError, audio
from rtpipe.testing import Bench, check_stage, cut, joined, noise, run_virtual
from rtpipe_plugins.sinks.recorder.stage import Recorder, RecorderOptions
from rtpipe_plugins.sound.alignment import Aligner

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
    live: bool = True,
    **options: Any,
) -> Bench:
    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, **options}, live=live)
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
    recorded(tmp_path / "a.wav", arrivals, live=False)
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
    assert "desk came 3500 ms too late" in caplog.text
    assert np.array_equal(data[168_000:192_000, 1], desk)


def test_what_came_late_is_in_its_place_again_after_a_pause(tmp_path: Path) -> None:
    """The desk's line hangs for 700 ms, and then gives everything at once."""
    visitor, word = voice(6.0, 1), voice(1.0, 2)
    desk = np.concatenate([word, np.zeros(RATE, np.int16), word, np.zeros(3 * RATE, np.int16)])
    late = [(1, f) for f in heard(desk, at_s=0.0)]
    arrivals: list[Arrival] = []
    for frame in heard(visitor, at_s=0.0):
        arrivals.append((0, frame))
        at = frame.pts or 0
        while late and (late[0][1].pts or 0) <= at and not 24_000 <= at < 57_600:
            arrivals.append(late.pop(0))
    recorded(tmp_path / "a.wav", arrivals)
    data, _ = read_wav(tmp_path / "a.wav")
    assert np.array_equal(data[:, 0], visitor)
    shifted = lag(word[24_000:], data[: 2 * RATE, 1]) - 24_000
    assert 0.1 * RATE < shifted < 0.3 * RATE  # the aligner waited for half a second
    assert np.array_equal(data[2 * RATE : 3 * RATE, 1], word)


def test_what_was_heard_before_the_beginning_is_left_out(tmp_path: Path) -> None:
    visitor, desk = voice(0.5, 1), voice(0.5, 2)
    first, *rest = heard(visitor, at_s=1.0)
    recorded(tmp_path / "a.wav", [(0, first), *in_turn(rest, heard(desk, at_s=0.9))])
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
    assert stopped.payload() == {
        "path": str(tmp_path / "a.mka"),
        "duration_s": 1.0,
        "segments": 1,
        "lost_s": 0.0,
    }


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


class FullDisk:
    def write(self, tracks: object) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("live", [True, False])
def test_a_full_disk_ends_a_batch_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: Any
) -> None:
    """What a real one does stands in tests/recordings."""
    monkeypatch.setattr("rtpipe_plugins.sinks.recorder.segment.open_writer", lambda *_: FullDisk())
    frames = in_turn(heard(voice(3.0), at_s=0.0))

    def run() -> Bench:
        return recorded(tmp_path / "a.mka", frames, live=live, sidecar=False)

    if not live:
        with pytest.raises(StageError, match=r"cannot write .*a\.mka: No space left on device"):
            run()
    else:
        (stopped,) = run().run.of_type("recorder.stopped")
        assert stopped.payload()["lost_s"] == 3.0
    assert list(tmp_path.iterdir()) == []


def test_a_silent_voice_holds_the_other_back_for_a_moment_only() -> None:
    aligner = Aligner(2, patience=2 * RATE, grace=RATE // 5)
    held = []
    for n in range(500):
        list(aligner.add(0, n * 960, np.ones(960, np.int16)))
        held.append(((n + 1) * 960 - aligner.given) / RATE)
    assert max(held) == pytest.approx(2.0, abs=0.02)
    assert held[-1] == pytest.approx(0.2, abs=0.001)


def events_at(*events: tuple[float, str, str]) -> list[tuple[float, Event]]:
    return [(at, Event(type=type_, source=source, at=at)) for at, type_, source in events]


def with_events(
    arrivals: list[Arrival], events: list[tuple[float, Event]]
) -> Iterable[Arrival | Callable[[Bench], object]]:
    """Publish each event when its time has come."""
    due = sorted(events, key=lambda e: e[0])
    for inlet, frame in arrivals:
        captured_at = audio.meta(frame).captured_at
        assert captured_at is not None
        while due and due[0][0] <= captured_at:
            event = due.pop(0)[1]
            yield lambda bench, event=event: bench.bus.publish(event)
        yield inlet, frame


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_segments_join_to_the_sample(tmp_path: Path, ending: str) -> None:
    data = voice(7.3)
    path = tmp_path / f"a.{ending}"
    bench = recorded(path, in_turn(heard(data, at_s=1.0)), inputs=("mic",), segment_s=2)
    pieces = [path, *(tmp_path / f"a-{n}.{ending}" for n in (2, 3, 4))]
    read = [np.rint(read_tracks(piece)[0] * 32768).astype(np.int16) for piece in pieces]
    assert [len(piece) for piece in read] == [96_000, 96_000, 96_000, 62_400]
    assert np.array_equal(np.concatenate(read), data)
    starts = [e.payload()["start_s"] for e in bench.run.of_type("recorder.segment_started")]
    assert starts == [2.0, 4.0, 6.0]
    (stopped,) = bench.run.of_type("recorder.stopped")
    assert stopped.payload()["segments"] == 4


def decoded(path: Path) -> int:
    """Return how many samples come out; a Matroska's time stamps are whole milliseconds."""
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("ending", ["mka", "opus"])
def test_opus_segments_join_to_the_sample(tmp_path: Path, ending: str) -> None:
    arrivals = in_turn(heard(voice(5.01), at_s=0.0))
    recorded(tmp_path / f"a.{ending}", arrivals, inputs=("mic",), segment_s=2)
    names = (f"a.{ending}", f"a-2.{ending}", f"a-3.{ending}")
    assert [decoded(tmp_path / name) for name in names] == [96_000, 96_000, 48_480]


def test_an_end_on_a_segments_end_leaves_no_empty_file(tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", in_turn(heard(voice(4.0), at_s=0.0)), segment_s=2)
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["a-2.wav", "a.wav"]
    assert '"recorder.stopped"' in (tmp_path / "a-2.events.jsonl").read_text()


def test_segments_by_size_are_about_so_large_and_lose_nothing(tmp_path: Path) -> None:
    data = voice(10.0)
    arrivals = in_turn(heard(data, at_s=0.0))
    recorded(tmp_path / "a.wav", arrivals, inputs=("mic",), segment_mb=0.3, sidecar=False)
    names = ["a.wav", "a-2.wav", "a-3.wav", "a-4.wav"]
    pieces = [read_wav(tmp_path / name)[0][:, 0] for name in names]
    assert all(300_000 <= 2 * len(piece) + 44 < 320_000 for piece in pieces[:-1])
    assert np.array_equal(np.concatenate(pieces), data)


def test_each_segment_is_named_by_its_time_and_has_its_own_events(tmp_path: Path) -> None:
    frames = in_turn(heard(voice(5.0), at_s=1.0))
    events = events_at((1.5, "x.one", "x"), (3.5, "x.two", "x"), (5.5, "x.three", "x"))
    recorded(tmp_path / "%S.wav", with_events(frames, events), segment_s=2)
    names = sorted(tmp_path.glob("*.wav"), key=lambda p: p.stat().st_mtime_ns)
    first, second, third = (int(path.stem) for path in names)
    assert ((second - first) % 60, (third - second) % 60) == (3, 2)  # it began a second late
    said = {}
    for path in names:
        lines = path.with_suffix(".events.jsonl").read_text().splitlines()
        said |= {line["type"]: line["at"] for line in map(json.loads, lines)}
        assert sum(line.count('"x.') for line in lines) == 1
    assert (said["x.one"], said["x.two"], said["x.three"]) == (0.5, 0.5, 0.5)


def test_overwriting_never_means_its_own_segments(tmp_path: Path) -> None:
    for _ in range(2):
        recorded(
            tmp_path / "a.wav",
            in_turn(heard(voice(4.5), at_s=0.0)),
            segment_s=2,
            overwrite=True,
            sidecar=False,
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.wav", "a-3.wav", "a.wav"]


TURN = [
    (2.0, "turn.user_started", "realtime"),
    (2.1, "vad.speech_started", "vad"),
    (3.0, "turn.user_stopped", "realtime"),
    (4.0, "turn.answer_started", "realtime"),
    (4.4, "turn.user_started", "realtime"),
    (4.5, "turn.answer_stopped", "realtime"),
    (5.0, "turn.user_stopped", "realtime"),
    (6.0, "turn.answer_started", "realtime"),
]


@pytest.mark.parametrize("inputs", [("gate", "realtime"), ("realtime", "gate")])
def test_each_turn_is_a_clip_of_its_own(tmp_path: Path, inputs: tuple[str, str]) -> None:
    user, desk = voice(6.0, 1), voice(6.0, 2)
    voices = (user, desk) if inputs[0] == "gate" else (desk, user)
    frames = in_turn(heard(voices[0], at_s=1.0), heard(voices[1], at_s=1.0))
    bench = recorded(
        tmp_path / "a.wav", with_events(frames, events_at(*TURN)), inputs=inputs, turns=True
    )
    expected = {
        "001-user.wav": user[24_000:110_400],
        "002-assistant.wav": desk[120_000:182_400],
        "003-user.wav": user[139_200:206_400],
        "004-assistant.wav": desk[216_000:],
    }
    for name, samples in expected.items():
        assert np.array_equal(read_wav(tmp_path / "a.turns" / name)[0][:, 0], samples), name
    assert len(list((tmp_path / "a.turns").iterdir())) == 4
    told = [event.payload() for event in bench.run.of_type("recorder.turn_recorded")]
    assert [(t["role"], t["start_s"], t["duration_s"]) for t in told] == [
        ("user", 0.5, 1.8),
        ("assistant", 2.5, 1.3),
        ("user", 2.9, 1.4),
        ("assistant", 4.5, 1.5),
    ]


def test_a_vad_alone_cuts_the_users_turns(tmp_path: Path) -> None:
    data = voice(3.0)
    events = events_at((1.2, "vad.speech_started", "vad"), (2.0, "vad.speech_stopped", "vad"))
    frames = in_turn(heard(data, at_s=0.0))
    recorded(tmp_path / "a.mka", with_events(frames, events), inputs=("mic",), turns=True)
    (clip,) = (tmp_path / "a.turns").iterdir()
    assert clip.name == "001-user.mka"
    assert len(read_tracks(clip)[0]) == pytest.approx(1.6 * RATE, abs=1000)


def test_fsync_is_called_each_second_on_the_file_off_the_loop_and_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, str]] = []
    stuck, idle = threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, threading.current_thread().name))
        if threading.current_thread().name.startswith("fsync"):
            idle.clear()
            assert stuck.wait(10)
            idle.set()

    monkeypatch.setattr(os, "fsync", fsync)
    sizes: list[int] = []

    def look(_: Bench) -> None:
        sizes.append((tmp_path / "a.wav").stat().st_size)

    def go_on(_: Bench) -> None:
        stuck.set()
        assert idle.wait(10)  # virtual seconds pass faster than a busy machine runs a thread

    frames = in_turn(heard(voice(6.0), at_s=0.0))
    steps = [*frames[:75], look, *frames[75:150], look]
    for begin in range(150, len(frames), 25):
        steps += [go_on, *frames[begin : begin + 25]]
    recorded(tmp_path / "a.wav", steps, inputs=("mic",), sidecar=False)
    assert sizes[1] - sizes[0] > RATE  # it was written while the card stood still
    inode = (tmp_path / "a.wav").stat().st_ino
    folder = tmp_path.stat().st_ino
    assert {number for number, _ in synced} == {inode, folder}
    assert threading.main_thread().name not in {name for _, name in synced}
    assert sum(name.startswith("fsync") for _, name in synced) >= 3
    assert synced[-1][0] == inode  # what is complete is on the disk


@pytest.mark.parametrize("path", ["out/../../etc/x.mka", "a/../b.mka", "a\n.mka", "a\0.mka"])
def test_a_path_cannot_lead_out_of_its_folder(path: str) -> None:
    with pytest.raises(ValidationError, match=r"must not leave its folder|control characters"):
        RecorderOptions.model_validate({"path": path})
    assert RecorderOptions.model_validate({"path": "../recordings/x.mka"})


def test_dates_make_no_folders(tmp_path: Path) -> None:
    recorded(tmp_path / "%D" / "a%x.wav", in_turn(heard(voice(0.1), at_s=0.0)), sidecar=False)
    (path,) = tmp_path.rglob("*.wav")
    assert path.parent.parent == tmp_path
    assert "-" in path.parent.name


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "a.wav").symlink_to(precious)
    frames = in_turn(heard(voice(0.1), at_s=0.0))
    bench = recorded(tmp_path / "a.wav", frames, sidecar=False)
    assert bench.run.of_type("recorder.stopped")[0].payload()["path"] == str(tmp_path / "a-2.wav")
    recorded(tmp_path / "a.wav", frames, sidecar=False, overwrite=True)
    assert precious.read_text() == "precious"


def test_two_recorders_never_write_to_one_file(tmp_path: Path) -> None:
    async def run() -> None:
        benches = [
            Bench(
                Recorder,
                {"path": tmp_path / "a.wav", "overwrite": True, "sidecar": False},
                live=True,
            )
            for _ in range(2)
        ]
        async with benches[0].opened(), benches[1].opened():
            for frame in heard(voice(0.5), at_s=0.0):
                for bench in benches:
                    await bench.stage.consume(frame)

    run_virtual(run())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.wav", "a.wav"]
