"""The public door: its names, and that who only looks does not pay for running."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rtpipe
from rtpipe import audio

HEAVY = {"numpy", "av", "aiohttp", "aiortc", "sounddevice", "aiomqtt", "faster_whisper"}


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


def loaded(*arguments: str, folder: Path) -> set[str]:
    """Return the modules that are there when `rtpipe ARGUMENTS` ends.

    `python -X importtime` would miss those that `importlib.import_module` was asked for.
    """
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from rtpipe.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


def stages(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("rtpipe_plugins.")}


def test_help_and_the_list_of_stages_load_no_stage_and_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (["--help"], ["--version"], ["stages"], ["plugins"], ["validate", "--help"]):
        modules = loaded(*arguments, folder=tmp_path)
        assert not HEAVY & modules, arguments
        assert not {"pydantic", "ruamel.yaml", "asyncio"} & modules, arguments
        assert not stages(modules), arguments


def test_a_check_loads_the_stages_that_the_file_names_and_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nstages: [tone, gain: -6, blackhole]\n"
        "events: [log, {match: stage.*, do: gain.mute}]\n"
    )
    modules = loaded("validate", "a.yaml", folder=tmp_path)
    assert not HEAVY & modules
    used = {"sources.tone", "transforms.gain", "sinks.blackhole", "subscribers.log", "sound.pacing"}
    rooms = {name.partition(".")[0] for name in used}
    assert stages(modules) == {f"rtpipe_plugins.{name}" for name in used | rooms}


def test_no_kind_loads_what_only_moving_audio_needs() -> None:
    code = (
        "import sys, rtpipe_plugins; from rtpipe.catalogue.plugins import Registry\n"
        "found = Registry(); found.register(rtpipe_plugins); found.kinds.importable()\n"
        "assert not found.faulty; print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ran.stdout.split())


def test_import_rtpipe_imports_nothing_else() -> None:
    code = "import sys, rtpipe; print(sorted(m for m in sys.modules if 'rtpipe' in m))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['rtpipe']\n"
