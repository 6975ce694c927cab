"""`keep` while a pipeline runs: at its start, once an hour, and as the disk fills."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helpers.media_files import read_wav
from plugins.sinks.recorder.recording import RATE, voice
from rtpipe import Importance, audio
from rtpipe.testing import Bench, cut, run_virtual
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.retention import Keep
from rtpipe_plugins.sinks.recorder.options import RecorderOptions
from rtpipe_plugins.sinks.recorder.stage import Recorder
from rtpipe_plugins.subscribers.jsonl import Jsonl

DAY_S = 86_400


def age(path: Path, days: float, size: int = 1) -> Path:
    """Make a file that was written to some days before this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    at = datetime.now(UTC).timestamp() - days * DAY_S
    os.utime(path, (at, at))
    return path


def test_it_is_looked_at_the_start_and_once_an_hour(tmp_path: Path) -> None:
    first = age(tmp_path / "20200101.jsonl", 10)
    later = tmp_path / "20200102.jsonl"

    async def run() -> Bench:
        bench = Bench(Jsonl, {"path": tmp_path / "%Y%m%d.jsonl", "keep": {"days": 5}}, live=True)
        async with bench.opened():
            await bench.context.clock.sleep_until(60.0)
            assert not first.exists()
            age(later, 10)
            await bench.context.clock.sleep_until(3599.0)
            assert later.exists()
            await bench.context.clock.sleep_until(3601.0)
            assert not later.exists()
        return bench

    told = run_virtual(run()).run.of_type("files.expired")
    assert [event.payload()["count"] for event in told] == [1, 1]
    assert [event.payload()["reason"] for event in told] == ["days", "days"]
    assert told[0].importance is Importance.NOTICE
    assert "deleted 1 file " in told[0].line()


def test_a_recorder_takes_up_a_rule_and_lets_go_of_one_while_it_records(tmp_path: Path) -> None:
    async def run() -> Bench:
        path = tmp_path / "%Y%m%d.wav"
        bench = Bench(Recorder, {"path": path, "sidecar": False}, live=True)
        bench.context.inputs = ("mic",)
        clock = bench.context.clock
        async with bench.opened():
            before = bench.stage.options
            await clock.sleep_until(1.0)
            assert age(tmp_path / "20200101.wav", 10).exists()
            bench.stage.change(RecorderOptions(path=path, sidecar=False, keep=Keep(days=5)))
            await clock.sleep_until(60.0)
            assert not (tmp_path / "20200101.wav").exists()
            bench.stage.change(before)
            age(tmp_path / "20200102.wav", 10)
            await clock.sleep_until(7200.0)
            assert (tmp_path / "20200102.wav").exists()
        return bench

    assert len(run_virtual(run()).run.of_type("files.expired")) == 1


def test_a_short_run_looks_too(tmp_path: Path) -> None:
    old = age(tmp_path / "20200101.jsonl", 10)

    async def run() -> None:
        bench = Bench(Jsonl, {"path": tmp_path / "%Y%m%d.jsonl", "keep": {"days": 5}})
        async with bench.opened():
            pass

    run_virtual(run())
    assert not old.exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def record(path: Path, seconds: float, **options: Any) -> Bench:
    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, "sidecar": False, **options}, live=True)
        bench.context.inputs = ("mic",)
        async with bench.opened():
            for frame in cut(voice(seconds)):
                now = (frame.pts or 0) / RATE
                await bench.context.clock.sleep_until(now)
                audio.meta(frame).captured_at = now
                await bench.stage.consume(frame)
            await bench.stage.drain()
        return bench

    return run_virtual(run())


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@needs_root
@pytest.mark.slow
def test_a_disk_that_fills_keeps_the_recording_and_the_newest_of_the_old(disk: Path) -> None:
    for day in range(1, 6):
        age(disk / f"2020010{day}-000000.wav", 100 - day, 400_000)
    note = age(disk / "note.txt", 500, 10_000)
    keep = {"free_gb": 0.0005}
    bench = record(disk / "%Y%m%d-%H%M%S.wav", 40.0, segment_s=2, keep=keep)
    assert not bench.run.of_type("recorder.failed")
    (stopped,) = bench.run.of_type("recorder.stopped")
    assert stopped.payload()["lost_s"] == 0
    assert stopped.payload()["duration_s"] == 40.0
    assert {event.payload()["reason"] for event in bench.run.of_type("files.expired")} == {
        "free_gb"
    }
    assert not list(disk.glob("2020*"))
    assert note.exists()
    last = max(disk.glob("*.wav"), key=lambda path: path.stat().st_mtime)
    assert len(read_wav(last)[0]) == 2 * RATE


@needs_root
def test_a_disk_that_others_fill_is_told_once(disk: Path) -> None:
    ballast = age(disk / "ballast", 500, 2_000_000)
    bench = record(disk / "%Y%m%d-%H%M%S.wav", 6.0, keep={"free_gb": 0.002})
    (low,) = bench.run.of_type("files.space_low")
    assert low.importance is Importance.WARNING
    assert low.payload()["missing_bytes"] > 800_000
    assert str(disk) in low.line()
    assert ballast.exists()


def test_what_another_run_writes_stays(tmp_path: Path) -> None:
    pattern = tmp_path / "%Y%m%d.jsonl"
    other = age(tmp_path / "20200101.jsonl", 10)

    async def run() -> None:
        file = AppendedFile(other)
        file.open()
        os.utime(other, (1_600_000_000, 1_600_000_000))
        bench = Bench(Jsonl, {"path": pattern, "keep": {"days": 5}})
        async with bench.opened():
            pass
        assert other.exists()
        file.close()
        async with Bench(Jsonl, {"path": pattern, "keep": {"days": 5}}).opened():
            pass
        assert not other.exists()

    run_virtual(run())
