"""A disk that is full or read-only costs the recording, never the call, and only for a while."""

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.media_files import read_tracks, read_wav
from plugins.sinks.recorder.recording import RATE, voice
from rtpipe import Importance, StageError, audio
from rtpipe.testing import Bench, cut, run_virtual
from rtpipe_plugins.sinks.recorder.stage import Recorder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def record(
    path: Path,
    data: NDArray[np.int16],
    at_s: dict[float, Callable[[], object]],
    *,
    is_live: bool = True,
    **options: Any,
) -> Bench:
    """Record one live voice; do something at certain seconds of it."""

    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, **options}, live=is_live)
        bench.context.inputs = ("mic",)
        due = sorted(at_s.items())
        async with bench.opened():
            async for now, frame in live(bench, data):
                while due and due[0][0] <= now:
                    due.pop(0)[1]()
                await bench.stage.consume(frame)
            await bench.stage.drain()
        return bench

    return run_virtual(run())


async def live(bench: Bench, data: NDArray[np.int16]) -> AsyncIterator[tuple[float, Any]]:
    for frame in cut(data):
        now = (frame.pts or 0) / RATE
        await bench.context.clock.sleep_until(now)
        audio.meta(frame).captured_at = now
        yield now, frame


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_recording_stops_on_a_full_disk_and_resumes_when_there_is_space(
    disk: Path,
) -> None:
    data = voice(9.0)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    bench = record(disk / "call.wav", data, {3.0: ballast.unlink}, sidecar=False)
    run = bench.run
    types = [event.type for event in run.events if event.type != "recorder.turn_recorded"]
    assert types == [
        "recorder.started",
        "recorder.failed",
        "recorder.recovered",
        "recorder.segment_started",
        "recorder.failed",
        "recorder.stopped",
    ]
    (failed, _) = run.of_type("recorder.failed")
    assert failed.payload()["error"] == "No space left on device"
    assert failed.payload()["path"] == str(disk / "call.wav")
    told = [event for event in run.of_type("recorder.failed") if "No space" in event.line()]
    assert [event.importance for event in told] == [Importance.ERROR] * 2
    first, second = read_wav(disk / "call.wav")[0], read_wav(disk / "call-2.wav")[0]
    (segment,) = run.of_type("recorder.segment_started")
    begin = round(segment.payload()["start_s"] * RATE)
    assert np.array_equal(first[:, 0], data[: len(first)])
    assert np.array_equal(second[:, 0], data[begin : begin + len(second)])
    assert 5 * RATE <= begin <= 7 * RATE
    (resumed,) = run.of_type("recorder.recovered")
    assert resumed.payload()["lost_s"] == pytest.approx((begin - len(first)) / RATE, abs=1e-3)
    (stopped,) = run.of_type("recorder.stopped")
    kept_s = (len(first) + len(second)) / RATE
    assert stopped.payload()["lost_s"] == pytest.approx(9.0 - kept_s, abs=1e-3)
    assert stopped.payload()["duration_s"] == 9.0
    assert stopped.payload()["segments"] == 2


@pytest.mark.parametrize("ending", ["mka", "opus", "flac"])
def test_every_container_goes_on_in_a_new_file_and_leaks_none(disk: Path, ending: str) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(290_000))
    before = open_files()
    bench = record(disk / f"call.{ending}", voice(16.0), {12.0: ballast.unlink}, sidecar=False)
    assert open_files() == before
    assert len(bench.run.of_type("recorder.failed")) == 1
    (segment,) = bench.run.of_type("recorder.segment_started")
    second = read_tracks(Path(segment.payload()["path"]))[0]
    assert len(second) / RATE == pytest.approx(16.0 - segment.payload()["start_s"], abs=0.01)


def test_the_events_of_an_outage_are_in_the_sidecar_of_the_next_file(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    record(disk / "call.wav", voice(8.0), {3.0: ballast.unlink})
    events = (disk / "call-2.events.jsonl").read_text()
    assert '"recorder.failed"' in events
    assert '"recorder.recovered"' in events


def test_a_disk_that_is_read_only_at_the_start_is_written_when_it_is_not(disk: Path) -> None:
    def mount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

    mount("ro")
    bench = record(disk / "a" / "call.mka", voice(8.0), {2.0: lambda: mount("rw")})
    assert [event.type for event in bench.run.events][:3] == [
        "recorder.failed",
        "recorder.started",
        "recorder.recovered",
    ]
    (failed,) = bench.run.of_type("recorder.failed")
    assert failed.payload()["error"] == "Read-only file system"
    assert len(read_tracks(disk / "a" / "call.mka")[0]) == pytest.approx(3 * RATE, rel=0.2)


def test_where_nobody_is_live_a_full_disk_is_a_failure(disk: Path) -> None:
    with pytest.raises(StageError, match=r"cannot write .*call\.wav: No space left on device"):
        record(disk / "call.wav", voice(9.0), {}, is_live=False)
