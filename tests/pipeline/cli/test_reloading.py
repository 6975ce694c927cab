"""`run --watch` and SIGHUP: saved files are taken, wrong ones change nothing and say why."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import environment, running

FILE = """
version: 1
stages:
  - tone: {realtime: true, level_dbfs: -20}
  - gain: ${file:gain.txt}
  - blackhole
events:
  - log: info
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk.yaml").write_text(FILE)
    (tmp_path / "gain.txt").write_text("-6")
    (tmp_path / "site.yaml").write_text("stages: {tone: {tone: {level_dbfs: -30}}}")
    return tmp_path


def save(path: Path, text: str) -> None:
    """Save as most editors do: another file takes the place of the old one."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


@pytest.mark.slow
def test_what_is_saved_is_taken_with_all_that_the_start_was_told(folder: Path) -> None:
    with running("run", "desk.yaml", "site.yaml", "--watch", cwd=folder) as run:
        run.wait_for("audio flows", 20)
        save(folder / "gain.txt", "-12")
        line = run.wait_for("reloaded: gain: gain_db -6 → -12, in place: a fade of 20 ms")
        assert "tone" not in line  # the overlay still holds
        save(folder / "site.yaml", "stages: {tone: {tone: {level_dbfs: -40}}}")
        run.wait_for("tone: level_dbfs -30 → -40, re-opened")
        save(folder / "desk.yaml", FILE.replace("gain:", "gian:"))
        run.wait_for("not reloaded: desk.yaml:5: no stage is called `gian`")
        run.wait_for("error[E101]: no stage is called `gian`")
        run.wait_for("did you mean `gain`?")
        save(folder / "desk.yaml", FILE.replace("  - blackhole", "  - level: 1000\n  - blackhole"))
        run.wait_for("level: level, added")
        run.signal(signal.SIGINT)
        assert run.wait() == 0


@pytest.mark.slow
def test_a_hang_up_reloads_where_no_terminal_is(folder: Path) -> None:
    with running("run", "desk.yaml", cwd=folder) as run:
        run.wait_for("audio flows", 20)
        save(folder / "gain.txt", "-12")
        run.signal(signal.SIGHUP)
        run.wait_for("reloaded: gain: gain_db -6 → -12")
        run.signal(signal.SIGTERM)
        assert run.wait() == 0


@pytest.mark.slow
def test_a_hang_up_of_the_terminal_stops(folder: Path) -> None:
    terminal, own = pty.openpty()
    command = [sys.executable, "-m", "rtpipe", "run", "desk.yaml"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=own, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "audio flows" in line:
                process.send_signal(signal.SIGHUP)
        assert "stopping: SIGHUP" in said
        assert process.wait() == 0
    os.close(terminal)
    os.close(own)
