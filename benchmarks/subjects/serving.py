"""A Realtime server in a process of its own, which answers every question by a tone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KEY = "sk-benchmark"
_TURN = {"sound": {"duration_s": 1.0}}


@contextmanager
def serving(folder: Path, cpu: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Let it serve; yields what a client's environment must say to reach it."""
    script = folder / "script.yaml"
    script.write_text(json.dumps({"turns": [_TURN] * 50}))
    command = [sys.executable, "-m", "rtpipe", "serve-realtime", "--port", "0"]
    command += ["--script", str(script), "--api-key", KEY]
    with subprocess.Popen(
        [*cpu, *command],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            said = next((line for line in server.stderr if "OPENAI_BASE_URL=" in line), "")
            if not said:
                raise SystemExit("the server did not start")
            yield {"OPENAI_BASE_URL": said.strip().partition("=")[2], "OPENAI_API_KEY": KEY}
        finally:
            server.kill()
