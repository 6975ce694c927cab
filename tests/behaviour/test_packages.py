"""Each package can be taken away, and what does not import it works on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.command import ROOT

sys.path.insert(0, str(ROOT))  # `tools` is no package of the tests
from tools.without import NEEDED_BY, PACKAGES, copy_without, named_in

Rtpipe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_names_a_package_who_should_do_without_it(package: str) -> None:
    """Also not at the last moment, in a function that no test of the rest may call."""
    allowed = tuple(f"{name}." for name in NEEDED_BY.get(package, ()))
    assert [name for name in named_in(package) if not f"{name}.".startswith(allowed)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import rtpipe_control",
        "from rtpipe_control.view import levels",
        "def late():\n    from rtpipe_control.view import levels",
        "import importlib\nlevels = importlib.import_module('rtpipe_control.view.levels')",
        "LazyKind('x', 'sink', 'X.', 'rtpipe_control.view.levels:Levels')",
    ],
)
def test_whoever_names_one_is_found(tmp_path: Path, line: str) -> None:
    package = tmp_path / "plugins" / "rtpipe_other"
    package.mkdir(parents=True)
    quiet = '"""Install `rtpipe_control`."""\nif TYPE_CHECKING:\n    import rtpipe_control\n'
    (package / "quiet.py").write_text(quiet)
    (package / "late.py").write_text(line)
    assert named_in("rtpipe_control", tmp_path) == ["rtpipe_other.late"]


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_left_without_it_works(package: str) -> None:
    """It imports, every command says what it takes, and the tests that could be affected pass."""
    command = [sys.executable, "-m", "tools.without", package, "-p", "no:cacheprovider", "-n0"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout


def rtpipe_without(package: str, folder: Path) -> Rtpipe:
    python = copy_without(package, folder)

    def rtpipe(*words: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "rtpipe", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return rtpipe


@pytest.mark.slow
@pytest.mark.parametrize("package", sorted(set(PACKAGES) - {"rtpipe_plugins"}))
def test_without_it_a_run_runs_and_files_that_do_not_need_it_are_good(
    package: str, tmp_path: Path
) -> None:
    rtpipe = rtpipe_without(package, tmp_path)
    (tmp_path / "run.yaml").write_text("version: 1\nstages: [tone: {duration_s: 1}, blackhole]\n")
    ran = rtpipe("run", "run.yaml")
    assert ran.returncode == 0, ran.stderr
    names = [path.name for path in sorted((ROOT / "pipelines").glob("*.yaml"))]
    if package in NEEDED_BY:  # a library, or the server: no call without them
        names = ["file_to_file.yaml", "hello.yaml", "record.yaml"]
    for name in names:
        validated = rtpipe("validate", f"pipelines/{name}")
        assert validated.returncode == 0, validated.stderr
        assert package not in validated.stderr or package == "rtpipe_test"  # which it is told of


@pytest.mark.slow
def test_a_file_that_asks_for_the_control_surface_is_told_that_it_is_absent(tmp_path: Path) -> None:
    rtpipe = rtpipe_without("rtpipe_control", tmp_path)
    (tmp_path / "page.yaml").write_text("version: 1\ncontrol: 8080\nstages: [tone, blackhole]\n")
    refused = rtpipe("run", "page.yaml")
    assert refused.returncode == 78
    assert "the section `control` needs the plugin `rtpipe_control`" in refused.stderr
    assert "install `rtpipe_control`" in refused.stderr
    assert rtpipe("ps").returncode == 2


@pytest.mark.slow
def test_a_file_that_asks_for_the_server_is_told_that_it_is_absent(tmp_path: Path) -> None:
    rtpipe = rtpipe_without("rtpipe_realtime_server", tmp_path)
    (tmp_path / "call.yaml").write_text(
        "version: 1\nstages: [tone, realtime: {provider: embedded}, blackhole]\n"
    )
    refused = rtpipe("run", "call.yaml")
    assert refused.returncode == 69, refused.stderr
    assert "the embedded Realtime server is not installed" in refused.stderr
    assert "pip install rtpipe-media" in refused.stderr
