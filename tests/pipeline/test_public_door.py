"""The public door: its names, and that who only looks does not pay for running."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rtpipe
from helpers.imports import HEAVY, loaded
from rtpipe import audio


@pytest.mark.parametrize("name", rtpipe.__all__)
def test_every_public_name_is_there_and_comes_from_where_it_is_said_to(name: str) -> None:
    found = getattr(rtpipe, name)
    assert found is getattr(rtpipe, name)
    home = rtpipe._HOME.get(name)
    if home is None:
        assert found is audio
    else:
        assert found is getattr(importlib.import_module(home), name)


def test_the_door_lists_its_names_and_no_others() -> None:
    assert set(rtpipe.__all__) == {*rtpipe._HOME, "audio"}
    assert set(rtpipe.__all__) <= set(dir(rtpipe))
    assert set(audio.__all__) <= set(dir(audio))
    for module in (rtpipe, audio):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no .*'nothing'"):
            module.nothing  # noqa: B018 - asking is what is tested


def test_no_module_has_the_name_of_a_public_function() -> None:
    folder = Path(rtpipe.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    assert modules & set(rtpipe.__all__) == {"audio"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["stages"],
        ["plugins"],
        ["validate", "--help"],
        ["run", "--help"],
    ],
    ids=" ".join,
)
def test_help_and_the_list_of_stages_load_no_stage_and_nothing_heavy(
    arguments: list[str], tmp_path: Path
) -> None:
    looked_only(loaded(*arguments, folder=tmp_path))


@pytest.mark.parametrize("words", ["rtpipe va", "rtpipe run --un", "rtpipe validate a"])
def test_a_shell_completes_a_word_without_it(words: str, tmp_path: Path) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": f"{words.count(' ')}"}
    looked_only(loaded(folder=tmp_path, _RTPIPE_COMPLETE="bash_complete", **asked))


def looked_only(modules: set[str]) -> None:
    assert not HEAVY & modules
    assert not {"pydantic", "ruamel.yaml", "asyncio"} & modules
    assert not any(name.startswith("rtpipe_plugins.") for name in modules)
    assert 100 < len(modules) < 280


def test_import_rtpipe_imports_nothing_else() -> None:
    code = "import sys, rtpipe; print(sorted(m for m in sys.modules if 'rtpipe' in m))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['rtpipe']\n"
