"""Each package can be taken away, and what does not import it works on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.command import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # two processes each, for a minute or more


@pytest.mark.parametrize("package", ["rtpipe_plugins", "rtpipe_realtime_server", "rtpipe_webrtc"])
def test_the_fast_tests_of_the_rest_pass_without(package: str) -> None:
    command = [sys.executable, "-m", "tools.without", package, "-p", "no:cacheprovider"]
    command += ["-n", "2"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
