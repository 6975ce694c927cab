"""A file that others rotate, remove and cut short while records are appended to it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rtpipe_plugins.disk.appending import AppendedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "x.log"


@pytest.fixture
def file(path: Path) -> Iterator[AppendedFile]:
    with closing(AppendedFile(path, ending=b".\n", header=b"HEAD.\n")) as file:
        file.open()
        file.append(b"1.\n")
        yield file


def renamed(path: Path) -> None:
    path.rename(path.with_suffix(".1"))


def renamed_and_made_anew(path: Path) -> None:
    renamed(path)
    path.touch()


def removed_with_its_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "happened", [renamed, renamed_and_made_anew, removed_with_its_folder, emptied, Path.unlink]
)
def test_the_next_record_is_under_the_name(
    file: AppendedFile, path: Path, happened: Callable[[Path], object]
) -> None:
    happened(path)
    file.append(b"2.\n")
    file.append(b"3.\n")
    assert path.read_bytes() == b"HEAD.\n2.\n3.\n"


def test_what_was_rotated_away_is_whole(file: AppendedFile, path: Path) -> None:
    renamed(path)
    file.append(b"2.\n")
    assert path.with_suffix(".1").read_bytes() == b"HEAD.\n1.\n"


def test_a_record_begins_cleanly_after_one_that_was_cut_off(file: AppendedFile, path: Path) -> None:
    path.write_bytes(b"HEAD.\n1")
    file.append(b"2.\n")
    assert path.read_bytes() == b"HEAD.\n1.\n2.\n"


def test_a_name_that_cannot_be_opened_is_tried_again(file: AppendedFile, path: Path) -> None:
    removed_with_its_folder(path)
    path.parent.write_text("in the way")
    for _ in range(2):
        with pytest.raises(OSError, match="exists"):
            file.append(b"2.\n")
    path.parent.unlink()
    file.append(b"3.\n")
    assert path.read_bytes() == b"HEAD.\n3.\n"


def test_two_writers_keep_each_others_records(file: AppendedFile, path: Path) -> None:
    with closing(AppendedFile(path)) as other:
        for number in range(3):
            other.append(f"other {number}.\n".encode())
            file.append(f"{number}.\n".encode())
    assert len(path.read_bytes().splitlines()) == 8
