"""The service manager itself, as far as it is here: a machine or an image may be without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_RUNS = Path("/run/systemd/system")


def is_running() -> bool:
    """Return whether systemd is what this machine was started by (sd_booted(3))."""
    return _RUNS.is_dir() and shutil.which("systemctl") is not None


def systemctl(*arguments: str, user: bool) -> subprocess.CompletedProcess[str]:
    """Run systemctl; what it says is kept."""
    scope = ("--user",) if user else ()
    return subprocess.run(  # noqa: S603
        ["systemctl", *scope, *arguments],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
        check=False,
    )
