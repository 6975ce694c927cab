"""Runs every check and test that CI runs: `./bootstrap check [--fast | --judges]`.

`--fast` leaves out the tests with real parts (WebRTC, speech, processes). `--judges` runs what CI
does not: our client and our server against foreign programs of hundreds of megabytes each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

CODE = ["pipeline", "plugins", "tests", "tools", "benchmarks", "pipelines"]
CHECKS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "-q", *CODE],
    "format": ["ruff", "format", "-q", "--check", *CODE],
    "imports": ["lint-imports", "--no-logo"],
    "mypy": ["mypy"],
    "pyright": ["pyright"],
    # Prints how rtpipe stands to its own floor: 40 s. It fails if it does not run, never by time.
    "speed": ["python", "-m", "benchmarks", "--short"],
    "fast tests": ["pytest", "-q", "-m", "not slow", "-n", "2"],
    # They wait in real time more than they work: two files beside each other, never more.
    "slow tests": ["pytest", "-q", "-m", "slow and not alone", "-n", "2", "--dist", "loadfile"],
    "tests that measure": ["pytest", "-q", "-m", "alone"],
}
# Each installs what it needs, once, into $XDG_CACHE_HOME/rtpipe-judges.
JUDGES = {"foreign judges": ["pytest", "-q", "--judges", "tests/peers"]}
_SLOW = {"speed", "slow tests", "tests that measure"}


def main() -> int:
    """Run the checks, all of them even when one fails; return the exit code."""
    bin_folder = Path(sys.executable).parent
    failed: list[str] = []
    for name, command in (JUDGES if "--judges" in sys.argv[1:] else CHECKS).items():
        if name in _SLOW and "--fast" in sys.argv[1:]:
            continue
        started = time.monotonic()
        print(f"== {name}", flush=True)
        code = subprocess.call([bin_folder / command[0], *command[1:]])
        print(f"== {name}: {'ok' if code == 0 else 'FAILED'}, {time.monotonic() - started:.0f} s")
        if code:
            failed.append(name)
    print(f"== {'all checks passed' if not failed else 'failed: ' + ', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
