"""How what is said stands on stderr: JSON lines, and the journal's priorities."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import environment, rtpipe
from rtpipe.wording.log_format import LogFormat

SAD = """
from rtpipe import Options, StageError, Transform, hookimpl

class SadOptions(Options):
    "What it has."
    token: str
    "Its token."

class Sad(Transform[SadOptions]):
    "Fails."
    kind = "sad"
    def process(self, frame):
        self.ctx.log.info("about to fail with %s", self.options.token)
        raise StageError(f"no way with {self.options.token}")

@hookimpl
def rtpipe_stages():
    return [Sad]
"""


@pytest.fixture
def sad(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/sad.py").write_text(SAD)
    (tmp_path / "sad.yaml").write_text(
        "version: 1\nstages:\n  - tone\n  - sad: {token: sesame-sesame}\n  - blackhole\n"
        "events:\n  - log: info\n"
    )
    return tmp_path


@pytest.mark.slow
def test_every_line_is_an_object(sad: Path) -> None:
    ran = rtpipe("run", "--log-format", "json", "sad.yaml", cwd=sad)
    assert ran.code == 1
    said = [json.loads(line) for line in ran.err.splitlines()]
    assert all(each.keys() == {"time", "level", "stage", "event", "message"} for each in said)
    assert "sesame" not in ran.err
    found = {(each["level"], each["stage"], each["event"]): each["message"] for each in said}
    assert found["error", "sad", "stage.failed"].startswith("no way with ***")
    assert found["info", "sad", ""] == "about to fail with ***"
    assert found["notice", "pipeline", "pipeline.ended"] == "ended: sad failed"
    assert found["error", "", ""].startswith("error: sad: no way with")

    ran = rtpipe("run", "--log-format", "json", "-x", "tone ! gone", cwd=sad)
    assert ran.code == 78
    (said,) = map(json.loads, ran.err.splitlines())
    assert said["level"] == "error"
    assert "error[E" in said["message"]


@pytest.mark.slow
def test_what_goes_to_the_journal_has_priorities(sad: Path) -> None:
    with (sad / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        stream = f"{status.st_dev}:{status.st_ino}"
        command = [sys.executable, "-m", "rtpipe", "run", "sad.yaml"]
        env = environment({"JOURNAL_STREAM": stream})
        subprocess.run(command, cwd=sad, env=env, stderr=journal, check=False)
        journal.seek(0)
        lines = journal.read().splitlines()
    assert all(line[:3] in {"<3>", "<4>", "<5>", "<6>"} for line in lines), lines
    assert any(line.startswith("<3>") and "no way with" in line for line in lines)
    assert any(line.startswith("<5>") and "ended: sad failed" in line for line in lines)
    assert any(line.startswith("<6>") and "about to fail" in line for line in lines)
    ran = rtpipe("run", "sad.yaml", cwd=sad, env={"JOURNAL_STREAM": stream})  # another's
    assert "<3>" not in ran.err


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (25, "notice"),
        (logging.WARNING, "warning"),
        (logging.CRITICAL, "error"),
    ],
)
def test_levels(level: int, name: str) -> None:
    said = json.loads(LogFormat.JSON.dressed("\x1b[31mred\x1b[0m\nsecond", level))
    assert (said["level"], said["message"]) == (name, "red\nsecond")
    number = {"debug": 7, "info": 6, "notice": 5, "warning": 4, "error": 3}[name]
    dressed = LogFormat.JOURNAL.dressed("\x1b[31mred\x1b[0m\nsecond", level)
    assert dressed == f"<{number}>red\n<{number}>second\n"
    assert LogFormat.TEXT.dressed("as it is", level) == "as it is\n"
