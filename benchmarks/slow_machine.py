"""How the kiosk with the embedded peer does on a slow machine: a share of one core is all it gets.

    .venv/bin/python benchmarks/slow_machine.py [--share 25]

Needs root, and a cgroup file system (version 1 or 2) that may be written: the quota is the
kernel's. Printed: what the pipeline says, its memory at its largest and at its end, and how long it
was held back. The exit code is the pipeline's, or 1 when a question went unanswered.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
_QUESTIONS = 2


@contextmanager
def quota(share: float) -> Iterator[Path]:
    """Make a cgroup that gets `share` of one core; yields its folder."""
    first = (_CGROUPS / "cpu" / "cpu.cfs_quota_us").exists()
    group = (_CGROUPS / "cpu" if first else _CGROUPS) / f"rtpipe-{os.getpid()}"
    group.mkdir()
    try:
        if first:
            (group / "cpu.cfs_period_us").write_text(f"{_PERIOD_US}")
            (group / "cpu.cfs_quota_us").write_text(f"{round(share * _PERIOD_US)}")
        else:
            (group / "cpu.max").write_text(f"{round(share * _PERIOD_US)} {_PERIOD_US}")
        yield group
    finally:
        group.rmdir()


def run(group: Path, folder: Path) -> tuple[int, str, int, int]:
    """Run the kiosk in a cgroup; returns its code, its output, and its memory (kB): most, last."""
    command = [f"{_ROOT}/.venv/bin/rtpipe", "run", "--latency", f"{_ROOT}/pipelines/kiosk.yaml"]
    command += ["--profile", "file", "--set", f"recorder.path={folder}/kiosk.mka"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    kiosk = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: (group / "cgroup.procs").write_text(f"{os.getpid()}"),  # noqa: PLW1509 - one thread
    )
    most = last = 0
    while kiosk.poll() is None:
        with suppress(OSError, KeyError):
            status = Path(f"/proc/{kiosk.pid}/status").read_text()
            told = dict(line.split(":", 1) for line in status.splitlines())
            last, most = int(told["VmRSS"].split()[0]), int(told["VmHWM"].split()[0])
        time.sleep(0.2)
    assert kiosk.stdout is not None
    return kiosk.returncode, kiosk.stdout.read(), most, last


def main() -> int:
    """Run it once and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=25, help="percent of one core")
    share = parser.parse_args().share / 100
    with quota(share) as group, tempfile.TemporaryDirectory() as folder:
        code, output, most, last = run(group, Path(folder))
        print(output)
        print(f"memory: {most / 1024:.0f} MB at most, {last / 1024:.0f} MB at the end")
        print(f"{share:.0%} of a core; cpu.stat:", (group / "cpu.stat").read_text().split())
    answered = output.count("  latency  ")
    print(f"{answered} of {_QUESTIONS} questions answered, exit code {code}")
    return code or int(answered < _QUESTIONS)


if __name__ == "__main__":
    sys.exit(main())
