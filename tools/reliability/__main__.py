"""The command: `python -m tools.reliability kill --times 100`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from tools.reliability import deaths
from tools.reliability.clock import clock
from tools.reliability.disk import disk
from tools.reliability.figures import Asked
from tools.reliability.readers import readers
from tools.reliability.suspension import stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.reliability.figures import Figures

_TRIES: dict[str, tuple[str, Callable[[Asked], Figures]]] = {
    "kill": ("kill -9 at random moments", deaths.kill),
    "terminate": ("SIGTERM at random moments", deaths.terminate),
    "disk": ("a disk that is full, and freed", disk),
    "stop": ("SIGSTOP for some seconds", stop),
    "clock": ("steps of the wall clock", clock),
    "readers": ("what opens recordings that a kill has left", readers),
}
"""By name: what it does, and the function."""


def main() -> int:
    """Print the figures of what the command line asks for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (what, _) in _TRIES.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("--times", type=int, default=3, help="how often (3)")
        command.add_argument("--seed", type=int, default=1, help="of the moments (1)")
        command.add_argument(
            "--format", choices=deaths.FORMATS, default="wav", help="ending of the files (wav)"
        )
        command.add_argument("--seconds", type=float, default=10, help="of `stop` (10)")
    given = parser.parse_args()
    began = time.monotonic()
    _, tried = _TRIES[given.command]
    figures = tried(Asked(given.times, given.seed, given.format, given.seconds))
    print(figures.text())
    print(f"  ({time.monotonic() - began:.0f} s)")
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
