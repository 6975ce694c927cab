"""Each package can be taken away, and what does not import it works on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # two processes each, for a minute or more


THE_REST = {
    "rtpipe_plugins": [],
    "rtpipe_realtime_server": ["--ignore=tests/pipeline"],  # the framework knows no plugin
    "rtpipe_webrtc": [],
    # By contract nobody imports it: the framework's tests, its commands among them, will do.
    "rtpipe_control": [
        f"--ignore=tests/{name}" for name in ("plugins", "realtime_server", "webrtc")
    ],
}


@pytest.mark.parametrize("package", THE_REST)
def test_the_fast_tests_of_the_rest_pass_without(package: str) -> None:
    command = [sys.executable, "-m", "tools.without", package, "-p", "no:cacheprovider"]
    command += ["-n", "2", *THE_REST[package]]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout


def test_without_the_control_surface_a_run_runs_and_a_file_that_asks_for_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)  # `tools` is no package of the tests
    from tools.without import copy_without

    python = copy_without("rtpipe_control", tmp_path)
    (tmp_path / "run.yaml").write_text("version: 1\nstages: [tone: {duration_s: 1}, blackhole]\n")
    (tmp_path / "page.yaml").write_text("version: 1\ncontrol: 8080\nstages: [tone, blackhole]\n")

    def rtpipe(*words: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "rtpipe", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert rtpipe("run", "run.yaml").returncode == 0
    refused = rtpipe("run", "page.yaml")
    assert refused.returncode == 78
    assert "the section `control` needs the plugin `rtpipe_control`" in refused.stderr
    assert "install `rtpipe_control`" in refused.stderr
    assert rtpipe("ps").returncode == 2
