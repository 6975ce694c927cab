"""The page's pure modules, in Node."""

from __future__ import annotations

import os
import subprocess
from importlib.resources import files
from pathlib import Path

from peers.javascript import node


def test_state_is_a_pure_function_of_what_the_kiosk_has_told() -> None:
    code = files("rtpipe_control") / "page" / "code"
    script = Path(__file__).with_name("reducer.test.mjs")
    run = subprocess.run(
        [node(), "--no-warnings", "--test", "--test-reporter=tap", script],
        env={**os.environ, "PAGE": str(code)}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
