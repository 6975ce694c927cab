"""Seeded faults in one process; and the oracle that judges them can fail.

The short form runs here. A thousand faults, and any case once more:

    cd tests; ../.venv/bin/python -m behaviour.seeded_faults --faults 1000 [--seed N]
    cd tests; ../.venv/bin/python -m behaviour.seeded_faults --seed N
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from behaviour.seeded_faults.case import Case
from behaviour.seeded_faults.oracle import (
    Account,
    FileAccount,
    LinkAccount,
    Passed,
    StageAccount,
    complaints,
)
from behaviour.seeded_faults.play import play
from helpers.command import ROOT
from rtpipe import Link
from rtpipe.link import LinkStatistics
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.sinks.file_sink import FileSink
from rtpipe_plugins.transforms.gain import Gain

SEED = 50_000

# -- the oracle ------------------------------------------------------------------------------------


def true_account() -> Account:
    given, taken = Passed(50, 1000.0, {48_000}), Passed(40, 800.0, {48_000})
    seen = LinkStatistics(
        frames_in=48, frames_out=40, frames_dropped=5, frames_trimmed=1, frames_waiting=2
    )
    seen.frames_refused = 2
    seen.dropped_ms = 100.0
    return Account(
        expected_ms=1000.0,
        told_dropped_ms=100.0,
        links=[LinkAccount("a -> b", given, seen)],
        stages=[
            StageAccount("a", "source", given),
            StageAccount("t", "transform", given, lost=2, came=53, one_to_one=True, swallowed=1),
            StageAccount("b", "sink", taken, lost=1, came=40, due_ms=800.0, consumed=39),
        ],
        files=[
            FileAccount(
                "b",
                samples=40_320,
                taken=38_400,
                fills=1920,
                zeros=1927,
                zeros_taken=7,
                wave=40_320,
            )
        ],
    )


def test_a_true_account_holds() -> None:
    assert complaints(true_account()) == []


FALSE: dict[str, tuple[str, Callable[[Account], Any]]] = {
    "a drop that was not counted": (
        "48 frames in, 40 out, 5 dropped, 2 left",
        lambda a: setattr(a.links[0].statistics, "frames_dropped", 4),
    ),
    "a frame that was never offered": (
        "50 frames were given, 49 were offered",
        lambda a: setattr(a.links[0].statistics, "frames_refused", 1),
    ),
    "a drop that was not told": ("events told of 0.0", lambda a: setattr(a, "told_dropped_ms", 0)),
    "a drop that was none": ("events told of 120.0", lambda a: setattr(a, "told_dropped_ms", 120)),
    "a source that lost a frame": (
        "a gave 980.0 ms of 1000.0 ms",
        lambda a: setattr(a.stages[0], "passed", Passed(49, 980.0, {48_000})),
    ),
    "a transform that lost a frame": (
        "t: 53 frames came, 49 went",
        lambda a: setattr(a.stages[1], "passed", Passed(49, 980.0, {48_000})),
    ),
    "a sink that took less than its links gave": (
        "b: 41 frames left its links, 40 were taken",
        lambda a: setattr(a.stages[2], "came", 41),
    ),
    "a sink that did not count its failure": (
        "b: 40 frames taken, 39 consumed, 0 lost",
        lambda a: setattr(a.stages[2], "lost", 0),
    ),
    "audio that vanished in a converter": (
        "b: 1000 ms were due, 800 ms passed",
        lambda a: setattr(a.stages[2], "due_ms", 1000.0),
    ),
    "a file that lacks a sample": (
        "b: 40319 samples in the file",
        lambda a: setattr(a.files[0], "samples", 40_319),
    ),
    "a file that has one too many": (
        "b: 40321 samples in the file",
        lambda a: setattr(a.files[0], "samples", 40_321),
    ),
    "a hole that nobody asked for": (
        "b: 960 samples are silent by mistake",
        lambda a: setattr(a.files[0], "zeros", 2880 + 7),
    ),
    "a hole that was not filled": (
        "b: 1920 samples are heard by mistake",
        lambda a: setattr(a.files[0], "zeros", 7),
    ),
    "a file that `wave` reads otherwise": (
        "`wave` reads 40000 samples",
        lambda a: setattr(a.files[0], "wave", 40_000),
    ),
    "a file that cannot be read": (
        "b: no header",
        lambda a: setattr(a.files[0], "unreadable", "no header"),
    ),
    "a failure that ends well": ("code 0, but b failed", lambda a: setattr(a, "failed", ["b"])),
    "an end without a reason": ("code 1, but no stage", lambda a: setattr(a, "code", 1)),
    "a culprit that nobody names": (
        "t went wrong, and no event",
        lambda a: setattr(a, "wronged", {"t"}),
    ),
    "a code that nobody knows": ("code 3 is not documented", lambda a: setattr(a, "code", 3)),
    "a stray exception": ("stray exception: KeyError", lambda a: setattr(a, "stray", "KeyError")),
    "two ends": ("`pipeline.ended` came 2 times", lambda a: setattr(a, "ended", 2)),
    "a task that goes on": ("tasks were left: x.py:1", lambda a: setattr(a, "left", ["x.py:1"])),
    "an error in the loop": ("loop complains: oh", lambda a: setattr(a, "noise", ["oh"])),
    "damage that is not told": (
        "3000 ms of a damaged file are missing",
        lambda a: setattr(a, "missing_ms", 3000.0),
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_account_does_not(name: str) -> None:
    words, falsify = FALSE[name]
    account = true_account()
    falsify(account)
    assert any(words in text for text in complaints(account)), complaints(account)


def test_what_a_format_or_a_failure_explains_is_no_fault() -> None:
    account = true_account()
    account.files = [
        FileAccount("b", samples=39_000, taken=40_000, slack=1024),
        FileAccount("c", samples=100, taken=40_000, failed=True),
        FileAccount("d", unreadable="nothing came"),
    ]
    account.links[0] = replace(account.links[0], given=Passed(7), reframes=True)
    assert complaints(account) == []


# -- a product that loses something ----------------------------------------------------------------


def played(folder: Path) -> list[str]:
    """Return what the oracle says of a live pipeline whose queue is too small."""
    case = Case(random.Random(0), folder)
    case.source = {"id": "src", "strange_source": {"frames": 50, "live": True}}
    case.transforms = [{"id": "t0", "gain": {"gain_db": -6}}]
    slow = {"fault": "slow", "again": True, "at": 0}
    case.sinks = [
        {"id": "s0", "file_sink": {"path": str(folder / "out" / "a.wav")}},
        {"id": "s1", "strange_sink": slow, "queue": {"max_ms": 40, "when_full": "drop_oldest"}},
    ]
    case.expected = 48_000
    return complaints(play(case))


def test_nothing_is_lost_without_a_count(tmp_path: Path) -> None:
    assert played(tmp_path) == []


def test_a_link_that_does_not_count_a_drop_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "_drop", lambda self, frame: None)
    assert any(text.startswith("t0 -> s1: ") for text in played(tmp_path))


def test_a_transform_that_loses_a_frame_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Gain.process
    monkeypatch.setattr(
        Gain, "process", lambda self, frame: None if frame.pts == 9600 else process(self, frame)
    )
    assert any(text.startswith("t0: 50 frames came, 49 went") for text in played(tmp_path))


@pytest.mark.parametrize(
    ("owner", "method", "found"),
    [
        (FileSink, "consume", "s0: 960 samples are silent by mistake"),
        (BackgroundWriter, "write", "s0: 47040 samples in the file; 48000 taken"),
    ],
)
def test_a_file_that_lacks_a_frame_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, found: str
) -> None:
    whole, calls = getattr(owner, method), []

    async def lossy(self: Any, *given: Any) -> None:
        calls.append(given)
        if len(calls) != 10:
            await whole(self, *given)

    monkeypatch.setattr(owner, method, lossy)
    assert any(text.startswith(found) for text in played(tmp_path))


# -- the short form --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEED, 2 * SEED])
def test_faults_are_survived(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "behaviour.seeded_faults", "--faults", "25", "--seed", str(seed)],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"seeds from {seed}" in done.stdout
