"""The unit: systemd takes it, and reads its words as they were meant."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.command import ROOT
from rtpipe import ExitCode, StageError
from rtpipe_service import restarts
from rtpipe_service.escaping import argument, rest_of_line, word
from rtpipe_service.unit import Service


def analyze() -> str:
    found = shutil.which("systemd-analyze")
    assert found, "systemd-analyze is missing: apt-get install systemd"
    return found


def verified(*units: Path) -> str:
    """What `systemd-analyze verify` says of units; of a good one nothing."""
    ran = subprocess.run(
        [analyze(), "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in ran.stderr.splitlines() if any(unit.name in line for unit in units)]
    return "\n".join(ours) if ran.returncode or ours else ""


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def service(folder: Path, **changes: object) -> Service:
    program = executable(folder / "a 100 % venv" / "rtpipe")
    file = folder / 'the "desk" at 50 %' / "kiosk $HOME.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("version: 1\n")
    given = {
        "name": "kiosk",
        "files": (file, folder / "site.yaml"),
        "command": (f"{program}", "service", "run"),
        "user": "root",
        "groups": ("audio",),
        "credentials": {"openai": folder / "a key 5%"},
        "environment": {"KIOSK_MIC": 'USB "the 2nd" 100%\\'},
        "environment_file": folder / "an env file",
        "has_sound": True,
        "description": "50 % of the desk",
    }
    return Service(**{**given, **changes})


@pytest.mark.parametrize("user", ["root", ""])
def test_systemd_takes_the_unit(tmp_path: Path, user: str) -> None:
    unit = tmp_path / "kiosk.service"
    unit.write_text(service(tmp_path, user=user).unit())
    assert verified(unit) == ""
    broken = tmp_path / "broken.service"
    broken.write_text(unit.read_text().replace("Type=notify", "Type=noisy"))
    assert "noisy" in verified(broken)
