"""The process of a command: no looking for garbage in what is loaded, and no idle threads."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rtpipe.cli import cli

DEFAULT = gc.get_threshold()


def left(*arguments: str) -> tuple[str, int]:
    """Return the collector's threshold when `rtpipe ARGUMENTS` ends, and what it leaves alone."""
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count()))\n"
        "from rtpipe.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    threshold, frozen = ran.stdout.splitlines()[-1].split()
    return threshold, int(frozen)


def test_a_command_that_only_looks_hardly_collects() -> None:
    assert left("--version") == ("20000", 0)


def test_what_a_run_has_loaded_is_never_looked_through_again() -> None:
    threshold, frozen = left("run", "-q", "-x", "tone duration_s=0.1 ! blackhole")
    assert threshold == f"{DEFAULT[0]}"
    assert frozen > 10_000


def test_the_collector_of_a_program_that_calls_a_command_is_its_own() -> None:
    frozen = gc.get_freeze_count()
    result = CliRunner().invoke(cli, ["run", "-q", "-x", "tone duration_s=0.1 ! blackhole"])
    assert result.exit_code == 0, result.output
    assert gc.get_threshold() == DEFAULT
    assert gc.get_freeze_count() == frozen


@pytest.mark.parametrize(
    ("given", "threads"), [({}, {1}), ({"OMP_NUM_THREADS": "2"}, {1, 2})], ids=["ours", "theirs"]
)
def test_numpy_is_loaded_without_threads_that_nobody_asked_for(
    given: dict[str, str], threads: set[int]
) -> None:
    code = (
        "import os, sys; from rtpipe.cli import process\n"
        "before = dict(os.environ); process.load_numpy(); assert 'numpy' not in sys.modules\n"
        "process.collect_rarely(); process.load_numpy(); assert dict(os.environ) == before\n"
        "import numpy; print(len(os.listdir('/proc/self/task')))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")} | given
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) in threads
