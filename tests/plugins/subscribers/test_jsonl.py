"""jsonl: each event is a line of a file, whole."""

import errno
import json
import os
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from plugins.subscribers.deliveries import STARTED
from rtpipe import EnvironmentProblem, ExitCode, StageError
from rtpipe.testing import Bench, run_stage, run_virtual
from rtpipe_plugins.disk.locks import lock_to_read
from rtpipe_plugins.peers.realtime.events import UserTranscript
from rtpipe_plugins.subscribers.jsonl import Jsonl


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_jsonl_appends_a_line_for_each_event(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    said = UserTranscript(text="Grüße\nan alle", item_id="i1", source="realtime", at=2.5)
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED, said]))
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED]))
    first, second, third = lines(path)
    assert (first["type"], first["source"], first["at"]) == ("vad.speech_started", "vad", 1.25)
    assert (second["text"], second["item_id"]) == ("Grüße\nan alle", "i1")
    assert third.keys() == first.keys() == {"time", "type", "source", "at"}
    assert "Grüße" in path.read_text(encoding="utf-8")


async def test_jsonl_has_the_line_in_the_file_when_it_returns(tmp_path: Path) -> None:
    bench = Bench(Jsonl, {"path": tmp_path / "x.jsonl"})
    async with bench.opened():
        for count in (1, 2, 3):
            await bench.play([STARTED])
            assert len(lines(tmp_path / "x.jsonl")) == count


def test_jsonl_begins_a_new_file_when_the_date_in_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    days = iter([1, 1, 2, 2])
    monkeypatch.setattr(
        "rtpipe_plugins.subscribers.jsonl.local_time",
        lambda: datetime(2026, 1, next(days), tzinfo=UTC),
    )
    run_virtual(run_stage(Jsonl, {"path": tmp_path / "%d.jsonl"}, events=[STARTED] * 3))
    assert len(lines(tmp_path / "01.jsonl")) == 1
    assert len(lines(tmp_path / "02.jsonl")) == 2


def test_jsonl_takes_back_a_line_that_does_not_fit_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    full = iter([False, True, False])

    class SmallDisk:
        """A file on a disk that is full for the second line, after a part of it."""

        def __init__(self, file: FileIO) -> None:
            self._file = file
            self._writes = 0

        def write(self, data: Any) -> int:
            if len(data) > 10:
                self.full = next(full)
            elif self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            if self.full:
                return self._file.write(data[: len(data) - 5])
            return self._file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: SmallDisk(real(self, *a, **k)))

    async def main() -> None:
        bench = Bench(Jsonl, {"path": path})
        async with bench.opened():
            await bench.play([STARTED])
            with pytest.raises(StageError, match="No space left"):
                await bench.play([STARTED])
            await bench.play([STARTED])

    run_virtual(main())
    monkeypatch.undo()
    assert len(lines(path)) == 2


def test_jsonl_begins_on_a_new_line_where_another_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"type": "cut', encoding="utf-8")
    run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED]))
    cut_off, whole = path.read_text(encoding="utf-8").splitlines()
    assert cut_off == '{"type": "cut'
    assert json.loads(whole)["type"] == "vad.speech_started"


def test_jsonl_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        run_virtual(run_stage(Jsonl, {"path": tmp_path / "file" / "x.jsonl"}))


def test_jsonl_without_permission_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "x.jsonl")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvironmentProblem) as caught:
        run_virtual(run_stage(Jsonl, {"path": tmp_path / "x.jsonl"}))
    assert caught.value.exit_code is ExitCode.NO_PERMISSION


@pytest.mark.parametrize("sort", ["in use", "dangling"])
def test_jsonl_writes_to_nothing_of_anothers(tmp_path: Path, sort: str) -> None:
    path = tmp_path / "x.jsonl"
    lock = None
    if sort == "dangling":
        path.symlink_to("elsewhere")
    else:
        path.write_text("precious")
        lock = lock_to_read(path)
    with pytest.raises(StageError, match=r"another stage or program|is a link to elsewhere"):
        run_virtual(run_stage(Jsonl, {"path": path}, events=[STARTED]))
    if lock is not None:
        os.close(lock)
        assert path.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


async def test_jsonl_goes_on_under_its_name_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    bench = Bench(Jsonl, {"path": path})
    async with bench.opened():
        await bench.play([STARTED])
        path.rename(tmp_path / "x.jsonl.1")
        await bench.play([STARTED, STARTED])
    assert len(lines(tmp_path / "x.jsonl.1")) == 1
    assert len(lines(path)) == 2


async def test_jsonl_writes_again_when_its_folder_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    bench = Bench(Jsonl, {"path": folder / "x.jsonl"})
    async with bench.opened():
        await bench.play([STARTED])
        folder.rename(tmp_path / "away")
        folder.touch()  # so that it cannot be made
        with pytest.raises(StageError, match="cannot write"):
            await bench.play([STARTED])
        folder.unlink()
        await bench.play([STARTED])
    assert len(lines(folder / "x.jsonl")) == 1


async def test_jsonl_is_json_whatever_an_event_carries(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    odd = UserTranscript(text="\0\ud800\u2028\x9b", item_id=float("nan"))  # type: ignore[arg-type]
    bench = Bench(Jsonl, {"path": path})
    async with bench.opened():
        await bench.play([odd])
    (line,) = lines(path)
    assert (line["text"], line["item_id"]) == ("\0\ud800\u2028\x9b", None)
