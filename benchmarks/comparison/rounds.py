"""Runs the subjects, round by round: each round has all of them, in an order that a seed draws.

A machine's absolute figures move by a factor of two between quiet and busy minutes, the ratios
within a round do not: so a section is measured in one stretch, and ratios are taken within a round.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import time
import wave
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison.subject import ROOT
from benchmarks.subjects.lengths import PERIOD_S, speech

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.comparison.subject import Section, Subject

_TIMEOUT_S = 150.0
_NICE = -10
_FAILURES = (OSError, RuntimeError, ValueError, IndexError, subprocess.TimeoutExpired)
"""What a program that fails shows itself by."""


@dataclass(slots=True)
class Runner:
    """Runs programs one after the other.

    Attributes:
        alone: Whether each has a core of its own and goes before others, as far as it may.
    """

    alone: bool = True

    def run(self, subject: Subject) -> dict[str, Any]:
        """Run a subject; return its figures.

        Raises:
            RuntimeError: It failed; with the last that it said.
        """
        if subject.output is not None:
            subject.output.unlink(missing_ok=True)
        spent, began = _cpu_of_children(), time.perf_counter()
        out = self._finish([*self._before(subject), *subject.command])
        wall, spent = time.perf_counter() - began, _cpu_of_children() - spent
        whole = {"process CPU s": spent, "wall s": wall}
        if subject.tells == "prints":
            figures: dict[str, Any] = json.loads(out.splitlines()[-1])
            return figures | whole if subject.output is not None else figures
        if subject.output is not None:
            return {"CPU s": spent, **whole}
        return {"CPU ms": spent * 1e3, "wall ms": wall * 1e3}

    def _before(self, subject: Subject) -> list[str]:
        """Return what the command begins with."""
        words: list[str] = []
        if self.alone and os.geteuid() == 0:
            words += ["nice", "-n", str(_NICE)]
        cores = sorted(os.sched_getaffinity(0))
        if subject.pinned and len(cores) > 1:
            words += ["taskset", "-c", str(cores[-1])]
        return words

    @staticmethod
    def _finish(command: Sequence[str]) -> str:
        """Run a command to its end; return what it printed."""
        with subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=_TIMEOUT_S)
            except BaseException:
                with suppress(ProcessLookupError):  # and whatever it has started
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            said = [line for line in err.decode().splitlines() if line.strip()]
            raise RuntimeError(said[-1][-300:] if said else f"ended with {process.returncode}")
        return out.decode()


def measure(
    sections: Sequence[Section], rounds: int, seed: int, runner: Runner
) -> dict[str, dict[str, Any]]:
    """Return what came of each section: figures by subject, a value (or None) for each round."""
    results: dict[str, dict[str, Any]] = {
        section.name: {
            "rounds": min(rounds, section.most_rounds),
            "subjects": {subject.name: {} for subject in section.subjects},
            "failed": {},
            "outputs": {},
        }
        for section in sections
    }
    for number in range(rounds):
        for section in sections:
            if number >= section.most_rounds:
                continue
            began = time.monotonic()
            order = list(section.subjects)
            random.Random(f"{seed} {number} {section.name}").shuffle(order)
            for subject in order:
                _measure_one(subject, number, results[section.name], runner)
            took, load = time.monotonic() - began, os.getloadavg()[0]
            print(
                f"round {number + 1} of {rounds}: {section.name}, {took:.0f} s, load {load:.1f}",
                flush=True,
            )
    return results


def _measure_one(subject: Subject, number: int, result: dict[str, Any], runner: Runner) -> None:
    """Add a round of a subject to what came of its section."""
    try:
        figures = runner.run(subject)
    except _FAILURES as error:
        result["failed"][subject.name] = str(error)
        print(f"  {subject.name} FAILED: {error}", flush=True)
        return
    of_subject = result["subjects"][subject.name]
    for name, value in figures.items():
        values = of_subject.setdefault(name, [])
        values += [None] * (number - len(values)) + [round(value, 4)]
    if subject.output is not None and subject.name not in result["outputs"]:
        result["outputs"][subject.name] = {"same": subject.same, **heard(subject.output)}


def profiles(subjects: dict[str, Subject], runner: Runner) -> dict[str, Any]:
    """Return where the time goes, by what is profiled."""
    found: dict[str, Any] = {}
    for name, subject in subjects.items():
        try:
            found[name] = runner.run(subject)["profile"]
        except (*_FAILURES, KeyError) as error:
            print(f"  no profile of {name}: {error}", flush=True)
    return found


def make_recording(path: Path, seconds: int) -> None:
    """Write a file of speech and pauses, s16 mono 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        for _ in range(max(seconds // PERIOD_S, 1)):
            file.writeframesraw(speech().tobytes())


def heard(path: Path) -> dict[str, Any]:
    """Return hash and level (dBFS) of a file's samples, and how much of it is silent (%)."""
    try:
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    except (OSError, EOFError, wave.Error) as error:
        return {"unreadable": str(error)}
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    whole = samples[: len(samples) // 960 * 960].reshape(-1, 960)
    return {
        "hash": hashlib.sha256(samples.tobytes()).hexdigest()[:12],
        "samples": len(samples),
        "level dBFS": round(10 * np.log10(max(power, 1e-9) / 32768**2), 2),
        "silent %": round(float((np.abs(whole).max(axis=1) < 3).mean()) * 100, 1),
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
