"""The files of a recorder: their names, their folder, and that they reach the disk."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from helpers.media_files import read_wav
from plugins.sinks.recorder.recording import (
    RATE,
    events_at,
    heard,
    in_turn,
    recorded,
    voice,
    with_events,
)
from rtpipe import StageError
from rtpipe.testing import Bench, run_virtual
from rtpipe_plugins.disk.locks import lock_to_read
from rtpipe_plugins.sinks.recorder.stage import Recorder, RecorderOptions


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


class FullDisk:
    def write(self, tracks: object) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("live", [True, False])
def test_a_full_disk_ends_a_batch_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: Any
) -> None:
    """What a real one does stands in test_full_disk.py."""
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


def test_what_is_overwritten_stays_until_the_new_recording_is_complete(tmp_path: Path) -> None:
    """So a kill costs neither; each recording keeps its own sidecar."""
    for name in ("a.wav", "a.events.jsonl", "a.part.wav", "a.part.events.jsonl"):
        (tmp_path / name).write_text("old")
    frames = in_turn(heard(voice(1.0), at_s=0.0))
    seen: dict[str, str] = {}

    def look(_: Bench) -> None:
        seen.update({p.name: p.read_bytes()[:3].decode() for p in tmp_path.iterdir()})
        assert len(read_wav(tmp_path / "a.part.wav")[0]) > RATE // 2

    bench = recorded(tmp_path / "a.wav", [*frames, look], inputs=("mic",), overwrite=True)
    kept = {"a.part-2.wav": "old", "a.part-2.events.jsonl": "old"}
    parts = {"a.part.wav": "RIF", "a.part.events.jsonl": '{"p'}
    assert seen == {"a.wav": "old", "a.events.jsonl": "old", **parts, **kept}
    assert {p.name for p in tmp_path.iterdir()} == {"a.wav", "a.events.jsonl", *kept}
    assert len(read_wav(tmp_path / "a.wav")[0]) == RATE
    assert '"recorder.stopped"' in (tmp_path / "a.events.jsonl").read_text()
    told = bench.run.of_type("recorder.leftover_kept")
    assert [Path(event.payload()["kept"]).name for event in told] == list(kept)
    assert told[0].line() == (
        f"what a killed run wrote to {tmp_path / 'a.part.wav'} is kept in {tmp_path}/a.part-2.wav"
    )


def test_where_nothing_came_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("old")
    recorded(tmp_path / "a.wav", [], overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.wav", "old")]


def test_segments_turns_and_sidecars_never_go_onto_what_is_being_read(tmp_path: Path) -> None:
    """Their names are known only when they begin; the file that is read may have any of them."""
    names = ("a-2.wav", "a-3.events.jsonl", "a.turns/001-user.wav")
    (tmp_path / "a.turns").mkdir()
    for name in names:
        (tmp_path / name).write_text("precious")
    locks = [lock_to_read(tmp_path / name) for name in names]
    events = events_at((0.2, "vad.speech_started", "vad"), (1.0, "vad.speech_stopped", "vad"))
    frames = in_turn(heard(voice(2.5), at_s=0.0))
    recorded(
        tmp_path / "a.wav",
        with_events(frames, events),
        inputs=("mic",),
        overwrite=True,
        turns=True,
        segment_s=1,
    )
    assert [(tmp_path / name).read_text() for name in names] == ["precious"] * 3
    pieces = [read_wav(tmp_path / f"a{n}.wav")[0] for n in ("", "-4", "-5")]
    assert [len(piece) for piece in pieces] == [RATE, RATE, RATE // 2]
    assert read_wav(tmp_path / "a.turns" / "001-user-2.wav")[0].any()
    for lock in locks:
        assert lock is not None
        os.close(lock)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_link_that_leads_nowhere_makes_no_file_there(tmp_path: Path, overwrite: Any) -> None:
    (tmp_path / "a.wav").symlink_to("elsewhere.wav")
    (tmp_path / "a-2.events.jsonl").symlink_to("elsewhere.jsonl")
    recorded(tmp_path / "a.wav", in_turn(heard(voice(0.1), at_s=0.0)), overwrite=overwrite)
    assert (tmp_path / "a-3.wav").is_file()
    assert not list(tmp_path.glob("elsewhere*"))


@pytest.mark.parametrize("old", ["a.wav", "a.events.jsonl"])
def test_a_recording_and_its_sidecar_replace_what_is_there_together(
    tmp_path: Path, old: str
) -> None:
    """Else a kill would leave an old recording beside the events of a new one."""
    (tmp_path / old).write_text("old")
    seen: set[str] = set()

    def look(_: Bench) -> None:
        seen.update(p.name for p in tmp_path.iterdir())

    frames = in_turn(heard(voice(0.5), at_s=0.0))
    recorded(tmp_path / "a.wav", [*frames, look], inputs=("mic",), overwrite=True)
    assert seen == {old, "a.part.wav", "a.part.events.jsonl"}
    assert {p.name for p in tmp_path.iterdir()} == {"a.wav", "a.events.jsonl"}
    assert len(read_wav(tmp_path / "a.wav")[0]) == RATE // 2
