"""Garbage is not looked for among what is loaded, and as ever once audio flows."""

from __future__ import annotations

import gc
import subprocess
import sys

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
