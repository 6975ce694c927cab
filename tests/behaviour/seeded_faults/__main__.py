"""Plays seeded faults: `cd tests; ../.venv/bin/python -m behaviour.seeded_faults --faults 1000`."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from behaviour.seeded_faults.runner import run


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Play; returns 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="behaviour.seeded_faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=1, help="how many, at least (1: one case)")
    parser.add_argument("--seed", type=int, help="of the first case; by default any")
    asked = parser.parse_args()
    seed = secrets.randbelow(10**9) if asked.seed is None else asked.seed
    _say(f"seeds from {seed}")
    began = time.monotonic()
    outcome = run(seed, asked.faults, _say)
    _say(
        f"{outcome.faults.total()} faults ({len(outcome.faults)} kinds) in {outcome.cases} "
        f"pipelines, {outcome.frames} frames, {time.monotonic() - began:.0f} s; exit codes "
        f"{dict(sorted(outcome.codes.items()))}"
    )
    _say(f"slowest: {outcome.slowest}")
    for what in outcome.wrong:
        if what.startswith("remains"):
            _say(what)
    _say(f"{len(outcome.wrong)} things did not hold")
    return 1 if outcome.wrong else 0


sys.exit(main())
