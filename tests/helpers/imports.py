"""What a command has imported when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NETWORK = {"aiohttp", "aioice", "aiomqtt", "aiortc", "cryptography", "openai", "websockets"}
DEVICES = {"pkg_resources", "pulsectl", "pywebrtc_audio", "sounddevice", "webrtcvad"}
HEAVY = {"numpy", "av", "faster_whisper", "hibari", *NETWORK, *DEVICES}
"""What a stage imports when it is opened, and nobody before."""


def loaded(*arguments: str, folder: Path, **environment: str) -> set[str]:
    """Return the modules that are there when `rtpipe ARGUMENTS` ends.

    `python -X importtime` would miss those that `importlib.import_module` was asked for.
    """
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from rtpipe.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stderr.split())
