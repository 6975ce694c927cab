"""`keep`: everything that the rule names goes, and nothing else, whatever lies in the folder."""

import fcntl
import logging
import os
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

from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.output_path import dated
from rtpipe_plugins.disk.path_pattern import Companions, PathPattern
from rtpipe_plugins.disk.retention import Keep, Retention, Sweep
from rtpipe_plugins.sinks.file_sink import FileSink
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


def test_what_was_named_while_the_clock_was_not_set_goes_by_the_rule(tmp_path: Path) -> None:
    template = tmp_path / "%Y/hall-%Y%m%d-%H%M%S.mka"
    named = put(dated(template, None), days=2)
    other = put(tmp_path / "unset-0/hall-unset-elsewhere.mka", days=2)
    assert [path for each in sweep(template, days=1).removed for path in each.paths] == [named]
    assert other.exists()


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
