"""An interpreter for each foreign program, with what it needs of PyPI: pinned, outside the project.

Each takes hundreds of megabytes, so it is made once for each requirements file and kept.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from peers.javascript import missing

HERE = Path(__file__).parent
_TIMEOUT_S = 1800
_LAST_LINES = 3  # of what pip says, where its reason stands


def cache() -> Path:
    """Return the folder of all of them: $XDG_CACHE_HOME/rtpipe-judges."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtpipe-judges"


@functools.cache
def environment(name: str) -> Path:
    """Return the `bin` folder of the interpreter that has what `NAME.txt` beside this file pins.

    A half-made one is never taken for whole: its stamp is written last.
    """
    requirements = HERE / f"{name}.txt"
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    folder = cache() / f"{name}-{version}-{pins}"
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, requirements)
            (folder / "complete").touch()
    return folder / "bin"


def _make(folder: Path, requirements: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=_TIMEOUT_S)
    # Every package is named in the file, so nothing is resolved: what one of them asks for beside
    # (a torch of gigabytes, say) is not fetched.
    install = [folder / "bin" / "pip", "install", "--no-deps", "--disable-pip-version-check", "-q",
               "--no-compile", "--retries=1", "-r", requirements]  # fmt: skip
    run = subprocess.run(install, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if run.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        reason = "; ".join(run.stderr.strip().splitlines()[-_LAST_LINES:])
        missing(f"needs the PyPI registry, once, for {requirements.name}: {reason}")
