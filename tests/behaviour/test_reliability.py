"""The short form of docs/explanation/reliability.md: `python -m tools.reliability`, a few times."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from helpers.command import ROOT

pytestmark = pytest.mark.slow


def tried(*arguments: str) -> str:
    """Run the command; assert that no promise was broken; return its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.reliability", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured" not in done.stdout
    return done.stdout


def test_kills_cost_half_a_second_at_most_and_the_next_run_keeps_what_is_there() -> None:
    figures = tried("kill", "--times", "2", "--format", "mka")
    assert "exit codes                   -9 x 2\n" in figures


def test_an_end_by_sigterm_loses_nothing() -> None:
    figures = tried("terminate", "--times", "2")
    assert "recorder: lost (s)           median 0.000, most 0.000\n" in figures


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_was_full_costs_what_is_told_and_nothing_else() -> None:
    tried("disk", "--times", "1", "--seed", "9")


def test_a_suspension_leaves_the_recording_in_time() -> None:
    tried("stop", "--times", "2", "--seconds", "3")


@pytest.mark.skipif(shutil.which("cc") is None, reason="the stepped clock must be compiled")
def test_steps_of_the_wall_clock_move_no_sample() -> None:
    tried("clock", "--times", "2")


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no reader to judge by")
def test_readers_open_what_the_docs_say() -> None:
    tried("readers", "--times", "1")


CORRUPTED = """
import numpy as np
from tools.reliability.signal_content import Foreign, likeness, parts_of, reference

whole = reference()[:96_000]
shown = lambda *pieces: [(p.at, p.of, p.length) for p in parts_of(np.concatenate(pieces))]
silence = np.zeros(480, np.int16)
assert shown(whole) == [(0, 0, 96_000)]
assert shown(whole[:500], whole[501:]) == [(0, 0, 500), (500, 501, 95_499)]
assert shown(whole[:500], whole[499:]) == [(0, 0, 500), (500, 499, 95_501)]
assert shown(whole[:500], silence, whole[500:]) == [
    (0, 0, 500), (500, None, 480), (980, 500, 95_500)
]
try:
    shown(whole[:500], silence + 1)
except Foreign:
    pass
else:
    raise AssertionError("foreign samples were taken")
assert likeness(whole).wandering == 0 and likeness(whole).least > 0.99
late = likeness(np.concatenate([silence, whole]))
assert (late.shift, late.wandering) == (480, 0)
spliced = likeness(np.concatenate([whole[:24_000], whole[24_960:]]))
assert spliced.wandering == 960
"""


def test_the_judge_finds_one_sample_lost_doubled_or_shifted() -> None:
    subprocess.run([sys.executable, "-c", CORRUPTED], cwd=ROOT, check=True)
