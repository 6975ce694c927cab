"""`keep`: everything that the rule names goes, and nothing else, whatever lies in the folder."""

import fcntl
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.media_files import read_wav
from plugins.sinks.recorder.recording import RATE, voice
from rtpipe import Importance, audio
from rtpipe.testing import Bench, cut, run_virtual
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.path_pattern import Companions, PathPattern
from rtpipe_plugins.disk.retention import Keep, Retention, Sweep
from rtpipe_plugins.sinks.file_sink import FileSink
from rtpipe_plugins.sinks.recorder.options import RecorderOptions
from rtpipe_plugins.sinks.recorder.stage import Recorder
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.transcript.stage import Transcript

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY_S = 86_400
RECORDER = Companions(counted=True, aside=True, sidecar=".events.jsonl", folder=".turns")
LOG = logging.getLogger("test")


def put(path: Path, size: int = 1, days: float = 0.0) -> Path:
    """Make a file of some size that was written to some days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    at = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


def sweep(template: Path, companions: Companions = RECORDER, **rule: Any) -> Sweep:
    return Retention(PathPattern(template, companions), Keep(**rule), LOG).sweep(NOW)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# -- the property ----------------------------------------------------------------------------------

OWN = [
    f"{day}{rest}"
    for day in ("20260101", "20260102-2", "20260103", "20240229")
    for rest in (
        ".mka",
        ".part.mka",
        ".part-2.mka",
        ".events.jsonl",
        ".turns/001-user.mka",
        ".turns/002-assistant-2.mka",
    )
]
STRANGE = [
    "20260101.wav",
    "20260101-1.mka",
    "20260132.mka",
    "20260101.mka.bak",
    "20260101.jsonl",
    "notes.txt",
    "20260101.turns/notes.txt",
    "20260101.turns/x/001-user.mka",
    "20260102.turns.old/001-user.mka",
    "old/20260101.mka",
    "a20260101.mka",
    ".20260101.mka",
]


@dataclass(frozen=True)
class Item:
    """A file in the tree."""

    name: str
    size: int
    days: float
    how: str


ITEMS = st.lists(
    st.builds(
        Item,
        st.sampled_from(OWN + STRANGE),
        st.integers(0, 4000),
        st.integers(0, 400).map(lambda tenths: tenths / 10),
        st.sampled_from(["plain"] * 8 + ["read", "written", "appended", "link", "folder"]),
    ),
    max_size=14,
    unique_by=lambda item: item.name,
)


def group_of(name: str) -> str | None:
    return name.partition(".")[0] if name in OWN else None


@contextmanager
def made(items: list[Item], folder: Path, outside: Path) -> Iterator[list[Item]]:
    """Make the tree; yields what could be made, while locks hold."""
    done: list[Item] = []
    with ExitStack() as locks:
        for item in items:
            path = folder / item.name
            if path.parent.is_symlink() or path.exists():
                continue
            if item.how == "link":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(put(outside / f"{len(done)}", item.size, 300))
            elif item.how == "folder":
                (path / "inner").mkdir(parents=True)
            else:
                put(path, item.size, item.days)
            if item.how == "appended":
                file = AppendedFile(path)
                locks.callback(file.close)
                file.open()
            elif item.how in {"read", "written"}:
                descriptor = os.open(path, os.O_RDONLY)
                locks.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_SH if item.how == "read" else fcntl.LOCK_EX)
            done.append(item)
        yield done


def expected(items: list[Item], days: float | None, size: int | None) -> set[str]:
    """Return which files the rule names; written down once more, and as plainly as can be."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        if (key := group_of(item.name)) and item.how not in {"link", "folder"}:
            groups.setdefault(key, []).append(item)
    gone: set[str] = set()
    total = sum(item.size for group in groups.values() for item in group)
    by_age = sorted(groups.items(), key=lambda pair: (-min(i.days for i in pair[1]), pair[0]))
    for _, group in by_age:
        too_old = days is not None and min(item.days for item in group) > days
        too_much = size is not None and total > size
        in_use = any(item.how != "plain" for item in group)
        if (too_old or too_much) and not in_use:
            gone |= {item.name for item in group}
            total -= sum(item.size for item in group)
    return gone


@given(
    items=ITEMS,
    days=st.none() | st.integers(1, 400).map(lambda tenths: tenths / 10),
    size=st.none() | st.integers(1, 30_000),
)
@settings(deadline=None)
@pytest.mark.slow
def test_what_the_rule_names_goes_and_nothing_else(
    items: list[Item], days: float | None, size: int | None
) -> None:
    if days is None and size is None:
        days = 1.0
    with TemporaryDirectory() as name:
        folder, outside = Path(name, "out"), Path(name, "elsewhere")
        folder.mkdir()
        outside.mkdir()
        with made(items, folder, outside) as done:
            before, beyond = tree(folder), tree(outside)
            gb = None if size is None else size / 1e9
            told = sweep(folder / "%Y%m%d.mka", days=days, gb=gb)
            went = before - tree(folder)
        wanted = expected(done, days, size)
        folders = {each for each in went if each.endswith(".turns")}
        assert went - folders == wanted
        assert all(not any(f.startswith(f"{each}/") for f in before - went) for each in folders)
        assert tree(outside) == beyond
        paths = {str(p.relative_to(folder)) for each in told.removed for p in each.paths}
        assert paths == wanted
        assert not told.errors


# -- single matters --------------------------------------------------------------------------------


def test_folders_with_a_date_go_when_they_are_empty_but_not_those_of_today(tmp_path: Path) -> None:
    old = put(tmp_path / "2026/05/01/a.wav", days=31)
    put(tmp_path / "2026/05/02/note.txt", days=31)
    put(tmp_path / "2026/05/02/a.wav", days=30)
    put(tmp_path / "2026/06/01/a.wav", days=20)  # its folder is in use
    sweep(tmp_path / "%Y/%m/%d/a.wav", days=10)
    assert not old.parent.exists()
    assert tree(tmp_path) == {
        *("2026", "2026/05", "2026/05/02", "2026/05/02/note.txt", "2026/06", "2026/06/01")
    }


def test_no_symbolic_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    kept = put(tmp_path / "elsewhere/20260101.mka", days=90)
    clips = put(tmp_path / "clips/001-user.mka", days=90)
    out = tmp_path / "out"
    out.mkdir()
    (out / "2026").symlink_to(kept.parent)
    (out / "20260101.turns").symlink_to(clips.parent)
    assert not sweep(out / "%Y/%Y%m%d.mka", days=1).removed
    assert not sweep(out / "%Y%m%d.mka", days=1).removed
    assert kept.exists()
    assert clips.exists()


def test_what_was_written_while_the_clock_was_not_set_is_not_old(tmp_path: Path) -> None:
    path = put(tmp_path / "20260101.mka")
    os.utime(path, (5000, 5000))
    assert not sweep(tmp_path / "%Y%m%d.mka", days=1).removed
    assert len(sweep(tmp_path / "%Y%m%d.mka", gb=1e-12).removed) == 1


def test_a_file_that_cannot_go_is_told_and_the_next_goes(tmp_path: Path) -> None:
    first, second = (put(tmp_path / f"2026010{n}.mka", days=90 - n) for n in (1, 2))
    real = os.unlink

    def unlink(name: str, **where: Any) -> None:
        if name == first.name:
            raise PermissionError(13, "Permission denied")
        real(name, **where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtpipe_plugins.disk.retention.os.unlink", unlink)
        done = sweep(tmp_path / "%Y%m%d.mka", days=1)
    assert first.exists()
    assert not second.exists()
    assert done.errors == ["20260101: Permission denied"]


def test_a_rule_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="without one everything is kept"):
        Keep()


@pytest.mark.parametrize(
    ("stage", "path", "words"),
    [
        (Jsonl, "out/events.jsonl", "one file for ever"),
        (FileSink, "out/a.wav", "one file for ever"),
        (Transcript, "out/%c.srt", "cannot read `%c` back"),
        (Recorder, "out/%Y.mka", None),
        (Recorder, "out/a.mka", None),  # the next is a-2.mka
    ],
)
def test_validate_says_that_keep_can_never_delete_anything(
    stage: Any, path: str, words: str | None
) -> None:
    options = stage.options_type.model_validate({"path": path, "keep": {"days": 1}})
    found = [each for each in stage.examine(options) if each.option == "keep"]
    assert [each.status for each in found] == ["odd"] * (words is not None)
    assert all(words in each.message for each in found if words)


# -- while a pipeline runs -------------------------------------------------------------------------


def age(path: Path, days: float) -> Path:
    """Make a file that was written to some days before this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
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
        put(disk / f"2020010{day}-000000.wav", 400_000, days=100 - day)
    note = put(disk / "note.txt", 10_000, days=500)
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
    ballast = put(disk / "ballast", 2_000_000, days=500)
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
