"""An output file is held while it is written, and replaces another only when it is complete."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe import StageError
from rtpipe_plugins.disk.locks import is_locked, lock_to_read, lock_to_write
from rtpipe_plugins.disk.output_file import OutputFile, claim
from rtpipe_plugins.disk.output_path import free_name, reserve


def claimed(path: Path, *, overwrite: bool = False, **how: object) -> OutputFile:
    file = claim(path, overwrite=overwrite, **how)  # type: ignore[arg-type]
    assert file is not None
    return file


def names(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def written(path: Path, text: str) -> None:
    file = claimed(path, overwrite=True)
    file.written_to.write_text(text)
    file.complete(durable=True)
    file.close()


def test_a_new_file_has_its_name_from_the_beginning(tmp_path: Path) -> None:
    file = claimed(tmp_path / "a.wav", overwrite=True)
    assert (file.written_to, file.replaces) == (tmp_path / "a.wav", False)
    file.complete()
    file.close()
    assert list(names(tmp_path)) == ["a.wav"]


def test_what_exists_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("old")
    path.chmod(0o600)
    file = claimed(path, overwrite=True)
    file.written_to.write_text("new")
    assert names(tmp_path) == {"a.wav": "old", "a.part.wav": "new"}
    file.complete()
    file.close()
    assert names(tmp_path) == {"a.wav": "new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_removed_has_replaced_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("old")
    file = claimed(tmp_path / "a.wav", overwrite=True)
    file.remove()
    file.close()
    assert names(tmp_path) == {"a.wav": "old"}


def test_what_kills_have_left_is_kept_each_time(tmp_path: Path) -> None:
    for name in ("a.wav", "a.part.wav", "a.part-2.wav"):
        (tmp_path / name).write_text(name)
    file = claimed(tmp_path / "a.wav", overwrite=True)
    assert file.kept == tmp_path / "a.part-3.wav"
    file.complete()
    file.close()
    assert names(tmp_path) == {
        "a.wav": "",
        "a.part-2.wav": "a.part-2.wav",
        "a.part-3.wav": "a.part.wav",
    }


def test_what_came_to_the_name_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("old")
    file = claimed(path, overwrite=True)
    file.written_to.write_text("new")
    path.unlink()
    path.write_text("of another")
    with pytest.raises(FileExistsError, match=r"this one is .*a\.part\.wav"):
        file.complete()
    file.close()
    assert names(tmp_path) == {"a.wav": "of another", "a.part.wav": "new"}


@pytest.mark.parametrize("link", ["hard", "symbolic", "dangling"])
def test_a_link_gives_nobody_a_second_way_in(tmp_path: Path, link: str) -> None:
    path, other = tmp_path / "a.wav", tmp_path / "b.wav"
    file = claimed(path)
    if link == "hard":
        os.link(path, other)
    else:
        other.symlink_to(path if link == "symbolic" else tmp_path / "nowhere")
    assert claim(other, overwrite=True) is None
    with pytest.raises(StageError, match=r"leads|link to|is being read or written"):
        reserve(other, overwrite=True)
    file.close()
    assert not (tmp_path / "nowhere").exists()


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["read", "write", "close"]), st.integers(0, 2)), max_size=12
    )
)
def test_a_file_has_many_readers_or_one_writer(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Whatever the order, and under whichever of its names."""
    folder = tmp_path_factory.mktemp("held")
    paths = [folder / f"{n}.wav" for n in range(3)]
    paths[0].write_text("old")
    for path in paths[1:]:
        os.link(paths[0], path)
    readers: list[int] = []
    writer: OutputFile | None = None
    with ExitStack() as left:
        left.callback(lambda: [os.close(reader) for reader in readers])
        for step, name in steps:
            if step == "read" and writer is None:
                reader = lock_to_read(paths[name])
                assert reader is not None
                readers.append(reader)
            elif step == "write":
                file = claim(paths[name], overwrite=True)
                assert (file is None) is bool(writer or readers)
                writer = file or writer
            elif step == "close" and writer is not None:
                writer.remove()
                writer.close()
                writer = None
            elif step == "close" and readers:
                os.close(readers.pop())
            assert is_locked(paths[name]) is bool(writer or readers)
        if writer is not None:
            writer.close()
    assert all(path.read_text() == "old" for path in paths)


HOLDER = """
import sys
from pathlib import Path
from rtpipe_plugins.disk.output_file import claim
file = claim(Path(sys.argv[1]), overwrite=True)
file.written_to.write_text("half")
print(file.written_to, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("exists", [True, False])
def test_another_process_holds_it_too_and_a_kill_lets_go(tmp_path: Path, *, exists: bool) -> None:
    path = tmp_path / "a.wav"
    if exists:
        path.write_text("old")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert claim(path, overwrite=True) is None
        with pytest.raises(StageError, match="is being read or written by another"):
            reserve(path, overwrite=True)
        process.send_signal(signal.SIGKILL)
    written(path, "new")
    left = {"a.part-2.wav": "half"} if exists else {}
    assert names(tmp_path) == {"a.wav": "new", **left}


def test_a_device_is_written_to_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out.wav").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "out.wav"):
        first, second = claimed(path, overwrite=True), claimed(path, overwrite=True)
        for file in (first, second):
            assert not file.replaces
            file.complete()
            file.remove()
            file.close()
    assert Path("/dev/null").is_char_device()


def test_a_file_that_is_no_regular_one_is_not_opened_to_lock_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "missing", tmp_path):
        assert lock_to_read(path) is None
        assert not is_locked(path)


def test_a_number_goes_before_the_whole_suffix(tmp_path: Path) -> None:
    (tmp_path / "1.5.events.jsonl").touch()
    wanted = free_name(tmp_path / "1.5.events.jsonl", suffix=".events.jsonl")
    assert wanted.name == "1.5-2.events.jsonl"
    part = claimed(tmp_path / "1.5.events.jsonl", overwrite=True, suffix=".events.jsonl")
    assert part.written_to.name == "1.5.part.events.jsonl"
    part.close()


def test_a_file_that_was_replaced_before_the_lock_was_had_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_text("old")

    def late(descriptor: int) -> bool:
        (tmp_path / "fresh").write_text("of another")
        (tmp_path / "fresh").replace(path)
        return lock_to_write(descriptor)

    monkeypatch.setattr("rtpipe_plugins.disk.output_file.lock_to_write", late)
    assert claim(path, overwrite=True) is None
    assert names(tmp_path) == {"a.wav": "of another"}
