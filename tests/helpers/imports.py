"""What a command has imported when it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {"numpy", "av", "aiohttp", "aiortc", "sounddevice", "aiomqtt", "faster_whisper"}


def loaded(*arguments: str, folder: Path) -> set[str]:
    """Return the modules that are there when `rtpipe ARGUMENTS` ends.

    `python -X importtime` would miss those that `importlib.import_module` was asked for.
    """
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from rtpipe.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(ran.stderr.split())
