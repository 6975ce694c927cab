"""Plays case after case in this process; says what does not hold, and how to see it again."""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from behaviour.seeded_faults.case import draw
from behaviour.seeded_faults.faults import FAULTS
from behaviour.seeded_faults.oracle import complaints
from behaviour.seeded_faults.play import play
from behaviour.seeded_faults.remains import Remains

HANG_S = 60.0
"""No case takes so long (real time): the process ends then, and says where it stood."""
_LOOK_EVERY = 10


@dataclass
class Outcome:
    """What a run has shown.

    Attributes:
        cases: How many were played.
        faults: How often each fault was among them.
        codes: How often each exit code.
        wrong: What did not hold: each with its seed.
        slowest: Seconds, seed and faults of the slowest cases.
    """

    cases: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: list[tuple[float, int, list[str]]] = field(default_factory=list)
    frames: int = 0


def run(seed: int, faults: int, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Play the cases of `seed`, `seed + 1` and so on until there were `faults` faults."""
    outcome, remains = Outcome(), Remains()
    while outcome.faults.total() < faults:
        _play_one(seed + outcome.cases, outcome, tell)
        outcome.cases += 1
        if outcome.cases % _LOOK_EVERY == 0:
            remains.count(outcome.cases)
    outcome.wrong += [f"remains: {what}" for what in remains.complaints()]
    return outcome


def _play_one(seed: int, outcome: Outcome, tell: Callable[[str], None]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="seeded-"))
    began = time.monotonic()
    names: list[str] = []
    try:
        with _guarded(seed):
            case = draw(seed, folder, FAULTS)
            names = case.faults
            account = play(case)
            found = complaints(account)
        outcome.codes[account.code] += 1
        outcome.frames += sum(stage.passed.frames for stage in account.stages)
    except Exception:  # noqa: BLE001 - of the runner itself
        found = [traceback.format_exc()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome.faults.update(names)
    outcome.slowest.append((round(time.monotonic() - began, 2), seed, names))
    outcome.slowest = sorted(outcome.slowest, reverse=True)[:5]
    for what in found:
        outcome.wrong.append(f"--seed {seed} ({', '.join(names)}): {what}")
        tell(outcome.wrong[-1])


@contextmanager
def _guarded(seed: int) -> Iterator[None]:
    """End the process, and say where everything stood, where a case hangs."""

    def hangs() -> None:
        assert sys.__stderr__ is not None
        sys.__stderr__.write(f"--seed {seed} hangs\n")
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        os._exit(3)

    timer = threading.Timer(HANG_S, hangs)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(HANG_S + 10, exit=True, file=sys.__stderr__)  # C without GIL
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        timer.cancel()
        timer.join()
