"""A recorder's actions, one by one: what is on the disk when, what is said, what is shown."""

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtpipe
from helpers.media_files import read_tracks, read_wav
from plugins.sinks.recorder.recording import (
    RATE,
    events_at,
    heard,
    in_turn,
    recorded,
    voice,
)
from plugins.sinks.recorder.test_orders import counting, record
from rtpipe import Event, Importance, StageError, audio
from rtpipe.testing import Bench, cut, run_pipeline, run_virtual
from rtpipe_plugins.sinks.recorder.segment import Segment
from rtpipe_plugins.sinks.recorder.stage import Recorder

VISITOR = Path(__file__).parents[4] / "pipelines" / "audio" / "visitor.wav"


async def one_voice(bench: Bench, seconds: float, *, since_s: float = 0.0) -> None:
    """Let a live voice be recorded, which tells its place in the pipeline's time."""
    whole = counting(since_s + seconds)[round(since_s * RATE) :]
    for frame in heard(whole, at_s=since_s):
        at_s = audio.meta(frame).captured_at
        assert at_s is not None
        await bench.context.clock.sleep_until(at_s + frame.samples / RATE)
        await bench.stage.consume(frame)


def of_one(path: Path, **options: Any) -> Bench:
    bench = Bench(Recorder, {"path": path, **options}, live=True)
    bench.context.inputs = ("mic",)
    return bench


def test_a_stop_completes_the_file_also_where_no_more_audio_comes(tmp_path: Path) -> None:
    async def run() -> None:
        bench = of_one(tmp_path / "a.wav")
        async with bench.opened():
            await one_voice(bench, 1.0)
            bench.stage.stop()  # type: ignore[attr-defined]
            assert bench.stage.gauge() == "stopped"
            await bench.context.clock.sleep_until(1.6)
            (stopped,) = bench.run.of_type("recorder.stopped")
            assert stopped.line() == f"wrote {tmp_path / 'a.wav'} (1 s)"
            assert np.array_equal(read_wav(tmp_path / "a.wav")[0][:, 0], counting(1.0))
            last = (tmp_path / "a.events.jsonl").read_text().splitlines()[-1]
            assert json.loads(last)["type"] == "recorder.stopped"
            assert json.loads(last)["at"] == 1.0
            await one_voice(bench, 1.0, since_s=2.0)
            bench.stage.start()  # type: ignore[attr-defined]
            await one_voice(bench, 1.0, since_s=3.0)
            await bench.stage.drain()
        assert np.array_equal(read_wav(tmp_path / "a-2.wav")[0][:, 0], counting(4.0)[-RATE:])
        (_, again) = bench.run.of_type("recorder.started")
        assert again.payload()["zero_s"] == 3.0
        assert again.line() == f"records to {tmp_path / 'a-2.wav'}"
        (_, ended) = bench.run.of_type("recorder.stopped")
        assert ended.payload()["duration_s"] == 1.0
        assert ended.payload()["segments"] == 1

    run_virtual(run())
    assert not list(tmp_path.glob("*.part*"))


def test_where_audio_has_ceased_a_file_ends_with_it_and_not_with_much_silence(
    tmp_path: Path,
) -> None:
    """And what comes after a pause is not preceded by any either."""

    async def run() -> None:
        bench = of_one(tmp_path / "a.wav")
        async with bench.opened():
            await one_voice(bench, 1.0)
            await bench.context.clock.sleep_until(30.0)
            bench.bus.publish(Event(type="device.lost", source="mic", at=30.0))
            await bench.context.clock.sleep_until(60.0)
            bench.stage.pause()  # type: ignore[attr-defined]
            await bench.context.clock.sleep_until(120.0)
            bench.stage.resume()  # type: ignore[attr-defined]
            await one_voice(bench, 1.0, since_s=120.0)
            await bench.context.clock.sleep_until(150.0)
            bench.stage.stop()  # type: ignore[attr-defined]
            await bench.context.clock.sleep_until(151.0)
            assert bench.run.of_type("recorder.stopped")
            await bench.stage.drain()

    run_virtual(run())
    read = read_wav(tmp_path / "a.wav")[0][:, 0]
    assert np.array_equal(read, np.concatenate([counting(1.0), counting(121.0)[-RATE:]]))
    lines = map(json.loads, (tmp_path / "a.events.jsonl").read_text().splitlines())
    assert [(line["type"].split(".")[1], line["at"]) for line in lines][1:] == [
        ("lost", 1.0),
        ("paused", 1.0),
        ("resumed", 1.0),
        ("stopped", 2.0),
    ]


def test_a_recorder_that_is_never_started_writes_nothing_and_says_nothing(tmp_path: Path) -> None:
    bench = recorded(tmp_path / "a.mka", in_turn(heard(voice(1.0), at_s=0.0)), autostart=False)
    assert bench.run.events == []
    assert list(tmp_path.iterdir()) == []


def test_a_start_names_the_file_by_its_own_time(tmp_path: Path) -> None:
    record(tmp_path / "%S.wav", [(3.5, "start")], autostart=False, sidecar=False)
    record(tmp_path / "b%S.wav", [], sidecar=False)
    (started,), (by_itself,) = tmp_path.glob("[0-9]*.wav"), tmp_path.glob("b*.wav")
    later = (int(started.stem) - int(by_itself.stem[1:])) % 60
    assert later in {3, 4}


def test_what_can_be_done_and_what_is_shown(tmp_path: Path) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    def ask(bench: Bench, order: str) -> None:
        if order != "look":
            getattr(bench.stage, order)()
        names = bench.stage.actions()
        seen.append((bench.stage.gauge(), {n: w for n in names if (w := bench.stage.why_not(n))}))

    orders = [(2.0, "look"), (2.5, "pause"), (3.0, "resume"), (3.5, "split"), (4.0, "stop")]
    bench = record(tmp_path / "a.mka", orders, each=ask)
    recording = {"start": "it records already", "resume": "it is not paused"}
    paused = {"start": "it is paused: resume does it", "pause": "it is paused already"}
    stopped = dict.fromkeys(("pause", "resume", "split", "stop"), "it is stopped")
    gauges, reasons = zip(*seen, strict=True)
    assert reasons == (recording, paused, recording, recording, stopped)
    assert gauges[0].startswith("● 0.9 s  2 tracks")
    assert [gauge.split()[0] for gauge in gauges] == ["●", "paused", "●", "●", "stopped"]
    lines = [event.line() for event in bench.run.events if event.importance >= Importance.NOTICE]
    first, second = tmp_path / "a.mka", tmp_path / "a-2.mka"
    assert lines == [
        f"paused: nothing goes into {first}",
        f"goes on in {first} after a pause of 0 s",
        f"wrote {first} (2 s) and goes on in another file",
        f"wrote {second} (2 s)",
    ]


def test_a_voice_that_comes_too_late_brings_nothing_of_a_pause(tmp_path: Path) -> None:
    """It is written where there is room for it, but judged by when it was heard."""
    late, desk = np.full(6 * RATE, 100, np.int16), voice(6.0)
    late[2 * RATE : 3 * RATE] = 9999
    frames = [(captured + 0.02 + 0.8, 0, frame) for captured, frame in moments(late)]
    frames += [(captured + 0.02, 1, frame) for captured, frame in moments(desk)]

    async def run() -> None:
        bench = Bench(Recorder, {"path": tmp_path / "a.mka", "codec": "flac"}, live=True)
        bench.context.inputs = ("visitor", "desk")
        orders = {2.0: "pause", 3.0: "resume"}
        async with bench.opened():
            for at_s, inlet, frame in sorted(frames, key=lambda due: due[:2]):
                while orders and min(orders) <= at_s:
                    await bench.context.clock.sleep_until(min(orders))
                    getattr(bench.stage, orders.pop(min(orders)))()
                await bench.context.clock.sleep_until(at_s)
                await bench.stage.consume_at(frame, inlet)
            await bench.stage.drain()

    run_virtual(run())
    read = np.rint(read_tracks(tmp_path / "a.mka")[0] * 32768)
    assert set(read) == {0, 100}


def moments(data: Any) -> list[tuple[float, Any]]:
    frames = heard(data, at_s=0.0)
    return [(audio.meta(frame).captured_at or 0.0, frame) for frame in frames]


@pytest.mark.parametrize("ending", ["mka", "opus", "m4a"])
def test_a_split_loses_and_doubles_nothing_in_any_codec(tmp_path: Path, ending: str) -> None:
    """AAC ends a file where a block of it does."""
    path, again = tmp_path / f"a.{ending}", tmp_path / f"a-2.{ending}"
    bench = record(path, [(2.50001, "split")])
    lengths = [len(read_tracks(file)[0]) for file in (path, again)]
    (told,) = bench.run.of_type("recorder.segment_started")
    cut = round(told.payload()["start_s"] * RATE)
    if ending == "m4a":
        assert lengths[0] % 1024 == 0
        assert lengths[0] == pytest.approx(cut, abs=3)  # told to a tenth of a millisecond
        assert 0 <= lengths[0] - 72_000 < 1024
        assert sum(lengths) - 4 * RATE in range(1024)
    else:
        assert sum(lengths) == pytest.approx(4 * RATE, abs=48)  # Matroska tells milliseconds
        assert lengths[0] == pytest.approx(72_000, abs=48)


def test_where_nobody_is_live_an_action_holds_from_what_has_come_on(tmp_path: Path) -> None:
    data = voice(6.0)
    frames = [(0, frame) for frame in cut(data)]

    def do(order: str) -> Any:
        return lambda bench: getattr(bench.stage, order)()

    arrivals = [*frames[:100], do("split"), *frames[100:200], do("pause"), *frames[200:250]]
    arrivals += [do("resume"), *frames[250:]]
    recorded(tmp_path / "a.wav", arrivals, inputs=("mic",), live=False)
    first, second = (read_wav(tmp_path / name)[0][:, 0] for name in ("a.wav", "a-2.wav"))
    assert np.array_equal(first, data[:96_000])
    assert np.array_equal(second, np.concatenate([data[96_000:192_000], data[240_000:]]))


def test_a_turn_is_cut_by_a_pause_and_counted_in_the_files_time(tmp_path: Path) -> None:
    data = counting(6.0)
    events = events_at(
        (1.0, "vad.speech_started", "vad"),
        (2.5, "vad.speech_stopped", "vad"),
        (2.6, "vad.speech_started", "vad"),
        (4.0, "vad.speech_started", "vad"),
        (4.5, "vad.speech_stopped", "vad"),
    )

    async def run() -> Bench:
        bench = of_one(tmp_path / "a.wav", turns=True)
        orders = [(2.0, Event(type="pause")), (3.0, Event(type="resume"))]
        async with bench.opened():
            due = sorted([*events, *orders], key=lambda event: event[0])
            for frame in heard(data, at_s=0.0):
                at_s = (audio.meta(frame).captured_at or 0.0) + 0.02
                while due and due[0][0] <= at_s:
                    happens_s, event = due.pop(0)
                    await bench.context.clock.sleep_until(happens_s)
                    if event.type in {"pause", "resume"}:
                        getattr(bench.stage, event.type)()
                    else:
                        bench.bus.publish(event)
                await bench.context.clock.sleep_until(at_s)
                await bench.stage.consume(frame)
            await bench.stage.drain()
        return bench

    bench = run_virtual(run())
    told = [event.payload() for event in bench.run.of_type("recorder.turn_recorded")]
    assert [(turn["start_s"], turn["duration_s"]) for turn in told] == [(0.5, 1.5), (2.5, 1.3)]
    first, second = (read_wav(Path(turn["path"]))[0][:, 0] for turn in told)
    assert np.array_equal(first, data[RATE // 2 : 2 * RATE])
    assert np.array_equal(second, data[round(3.5 * RATE) : round(4.8 * RATE)])
    assert len(list((tmp_path / "a.turns").iterdir())) == 2


def test_a_disk_that_takes_its_time_to_close_holds_no_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, may_close = threading.Event(), threading.Event()
    close = Segment.close

    def slow(segment: Segment) -> None:
        closing.set()
        assert may_close.wait(10), "whoever lets it close was held by it"
        close(segment)

    monkeypatch.setattr(Segment, "close", slow)

    async def run() -> None:
        bench = of_one(tmp_path / "a.wav")
        async with bench.opened():
            await one_voice(bench, 0.2)
            bench.stage.split()  # type: ignore[attr-defined]
            await one_voice(bench, 0.12, since_s=0.2)
            assert closing.wait(10)
            bench.stage.split()  # type: ignore[attr-defined]
            may_close.set()
            await one_voice(bench, 0.18, since_s=0.32)
            await bench.stage.drain()

    asyncio.run(run())  # virtual time waits for threads
    names = ("a.wav", "a-2.wav", "a-3.wav")
    read = [read_wav(tmp_path / name)[0][:, 0] for name in names]
    assert len(read[0]) == pytest.approx(0.2 * RATE, abs=0.1 * RATE)
    whole = np.concatenate(read)
    assert whole[0] == 1000
    assert set(np.diff(whole)) == {1}


def test_a_disk_that_fails_after_a_split_is_told_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Segment.__init__

    def full(segment: Segment, wanted: Path, *rest: Any) -> None:
        if list(tmp_path.glob("*.wav")) and not room:
            raise OSError(28, os.strerror(28))
        made(segment, wanted, *rest)

    monkeypatch.setattr(Segment, "__init__", full)
    room: list[bool] = []

    def ask(bench: Bench, order: str) -> None:
        if order == "look":
            assert bench.stage.gauge() == "cannot write"
            room.append(True)
        else:
            getattr(bench.stage, order)()

    orders = [(2.0, "split"), (4.0, "look")]
    bench = record(tmp_path / "a.wav", orders, seconds=9.0, each=ask, layout="stereo")
    types = [event.type.removeprefix("recorder.") for event in bench.run.events]
    assert types == ["started", "split", "failed", "recovered", "segment_started", "stopped"]
    (recovered,) = bench.run.of_type("recorder.recovered")
    lost_s = recovered.payload()["lost_s"]
    assert 5.0 <= lost_s < 5.2
    second = read_wav(tmp_path / "a-2.wav")[0]
    assert np.array_equal(second[:, 0], counting(9.0)[round((1 + lost_s) * RATE) :])


def test_where_nobody_is_live_a_file_that_cannot_be_opened_after_a_split_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [(0, frame) for frame in cut(voice(4.0))]

    def split(bench: Bench) -> None:
        bench.stage.split()  # type: ignore[attr-defined]

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Segment, "__init__", full)

    arrivals = [*frames[:100], split, *frames[100:]]
    with pytest.raises(StageError, match="No space left"):
        recorded(tmp_path / "a.wav", arrivals, inputs=("mic",), live=False)
    assert len(read_wav(tmp_path / "a.wav")[0]) == 96_000


def test_a_route_splits_after_what_was_said_and_loses_nothing(tmp_path: Path) -> None:
    stages = f"""
version: 1
stages:
  - file: {{path: {VISITOR}, realtime: true}}
  - vad
  - gain: -6
  - recorder: {{path: a.wav, layout: stereo}}
    from: [vad, gain]
"""
    route = """
events:
  - match: vad.speech_stopped
    do: recorder.split
"""
    read = {}
    for name, text in (("whole", stages), ("split", stages + route)):
        (folder := tmp_path / name).mkdir()
        events = run_pipeline(rtpipe.loads(text, path=folder / "pipeline.yaml"))
        files = sorted(folder.glob("*.wav"), key=lambda path: path.stat().st_mtime_ns)
        read[name] = np.concatenate([read_wav(path)[0] for path in files])
        splits = [event.payload()["path"] for event in events if event.type == "recorder.split"]
        assert splits == ([] if name == "whole" else [f"{path}" for path in files[: len(splits)]])
    assert len(splits) >= 1
    assert not [event for event in events if event.type == "route.failed"]
    assert np.array_equal(read["split"], read["whole"])
