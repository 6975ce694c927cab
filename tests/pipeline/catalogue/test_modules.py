"""A file of the user's becomes a module of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rtpipe import PluginError, import_file

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    first = import_file(written(tmp_path / "a" / "tools.py", "WHO = 'a'"))
    second = import_file(written(tmp_path / "b" / "tools.py", "WHO = 'b'"))
    assert (first.WHO, second.WHO) == ("a", "b")


def test_a_folder_is_a_package_and_finds_its_parts(tmp_path: Path) -> None:
    written(tmp_path / "pack" / "part.py", "WHO = 'part'")
    written(tmp_path / "pack" / "__init__.py", "from .part import WHO")
    assert import_file(tmp_path / "pack").WHO == "part"


def test_it_is_executed_once_unless_it_is_asked_for_again(tmp_path: Path) -> None:
    path = written(tmp_path / "rules.py", "VALUE = []")
    module = import_file(path)
    assert import_file(path) is module
    written(path, "VALUE = [1]")
    assert import_file(path, again=True).VALUE == [1]


def test_what_raises_leaves_no_module_behind(tmp_path: Path) -> None:
    path = written(tmp_path / "divides_by_zero.py", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_file(path)
    assert not [name for name in sys.modules if "divides_by_zero" in name]


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="is no Python module"):
        import_file(written(tmp_path / "notes.txt", ""))
