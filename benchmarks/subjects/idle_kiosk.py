"""What a kiosk takes while nobody speaks: the shipped one, or the bare script beside it.

    python -m benchmarks.subjects.idle_kiosk rtpipe|rtpipe-plain|bare [--seconds 8]

Its devices are those of a private PulseAudio, its server another process. `rtpipe-plain` is a
pipeline that does what the bare script does, `mic`, `realtime`, `speaker`, and no more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.subjects.measuring import private_kb
from benchmarks.subjects.processes import cpu_s, resident_mb, threads
from benchmarks.subjects.serving import serving

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from devices.pulse import PulseAudio  # noqa: E402 - behind the folder it is in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN = """\
version: 1
stages:
  - mic
  - realtime: {model: gpt-realtime}
  - speaker
"""
_SETTLE_S = 3.0


def main() -> None:
    """Print CPU (ms a second), memory (MB) and threads."""
    parser = argparse.ArgumentParser(description="Measure an idle kiosk.")
    parser.add_argument("kind", choices=("rtpipe", "rtpipe-plain", "bare"))
    parser.add_argument("--seconds", type=float, default=8.0)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "rtpipe", "run", "-v"]
    pulse = PulseAudio()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ignore = shutil.ignore_patterns("out")
            shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=ignore)
            (folder / "plain.yaml").write_text(_PLAIN)
            commands = {
                "rtpipe": [*command, "pipelines/kiosk.yaml"],
                "rtpipe-plain": [*command, "plain.yaml"],
                "bare": [sys.executable, "-m", "benchmarks.subjects.bare_kiosk"],
            }
            with serving(folder) as server:
                env = {**os.environ, **pulse.env, **server, "PYTHONPATH": str(ROOT)}
                print(json.dumps(_measured(commands[asked.kind], folder, env, asked.seconds)))
    finally:
        pulse.kill()
        shutil.rmtree(pulse.folder, ignore_errors=True)


def _measured(
    command: Sequence[str], folder: Path, env: Mapping[str, str], seconds: float
) -> dict[str, float]:
    with (
        (folder / "said").open("wb") as said,
        subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        ) as kiosk,
    ):
        try:
            _wait(kiosk, folder / "said")
            time.sleep(_SETTLE_S)
            before, clock = cpu_s(kiosk.pid), time.perf_counter()
            time.sleep(seconds)
            spent, clock = cpu_s(kiosk.pid) - before, time.perf_counter() - clock
            return {
                "CPU ms a second": spent / clock * 1e3,
                "resident MB": resident_mb(kiosk.pid),
                "private MB": private_kb(kiosk.pid) / 1024,
                "threads": threads(kiosk.pid),
            }
        finally:
            kiosk.kill()


def _wait(kiosk: subprocess.Popen[bytes], said: Path) -> None:
    """Wait until it says that it is connected."""
    for _ in range(600):
        if b"connected" in said.read_bytes():
            return
        if kiosk.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"no call: {said.read_text()[-500:]}")


if __name__ == "__main__":
    main()
