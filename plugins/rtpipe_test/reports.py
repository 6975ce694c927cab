"""What came of tests, for a person, for GitHub, for a CI server, and as JSON."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import click

from rtpipe.documents import as_github, as_text
from rtpipe.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for; see `rtpipe test --help`."""

    like: str
    update: bool
    keep: Path | None
    junit: Path | None
    form: Literal["text", "github"]
    as_json: bool
    sets: tuple[str, ...]
    profile: str | None
    trust: bool
    jobs: int | None
    verbose: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test.

    Attributes:
        file: The pipeline file.
        name: The test's.
        found: What was not as expected, or kept it from being run.
        ran_s: How long the pipeline ran on its own clock (s).
        took_s: How long that took (s).
    """

    file: Path
    name: str
    found: tuple[Diagnostic, ...]
    ran_s: float = 0.0
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.found


class Reporter(Protocol):
    """Who is told of each test when it has run, and of all of them."""

    def tell(self, outcome: Outcome) -> None:
        """Hear of one test."""

    def finish(self, outcomes: Sequence[Outcome], took_s: float) -> None:
        """Hear that these were all, and how long they took together (s)."""


def reporter(asked: Asked) -> Reporter:
    """Return the one that the command line asks for."""
    if asked.as_json:
        return _Json()
    return _Github() if asked.form == "github" else _Text()


class _Text:
    def __init__(self) -> None:
        self._file: Path | None = None
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def tell(self, outcome: Outcome) -> None:
        if outcome.file != self._file:
            self._file = outcome.file
            click.echo(printable(str(outcome.file)))
        mark = self._painted("ok  ", "green") if outcome.passed else self._painted("FAIL", "red")
        click.echo(f"  {mark}  {printable(outcome.name)}")
        for found in outcome.found:
            click.echo(f"\n{as_text(found, colour=self._colour)}")
        if outcome.found:
            click.echo()

    def finish(self, outcomes: Sequence[Outcome], took_s: float) -> None:
        failed = sum(not outcome.passed for outcome in outcomes)
        passed = len(outcomes) - failed
        parts = [f"{passed} passed"] * bool(passed) + [f"{failed} failed"] * bool(failed)
        ran_s = sum(outcome.ran_s for outcome in outcomes)
        text = f"{', '.join(parts)}: {ran_s:.1f} s of audio in {took_s:.1f} s"
        click.echo(self._painted(text, "red" if failed else "green"))

    def _painted(self, text: str, colour: str) -> str:
        return click.style(text, fg=colour, bold=True) if self._colour else text


class _Github(_Text):
    def tell(self, outcome: Outcome) -> None:
        for found in outcome.found:
            click.echo(as_github(replace(found, message=f"{outcome.name}: {found.message}")))


class _Json:
    def tell(self, outcome: Outcome) -> None:
        """Nothing: it is one document."""

    def finish(self, outcomes: Sequence[Outcome], took_s: float) -> None:
        tests = [
            {
                "file": str(outcome.file),
                "name": outcome.name,
                "passed": outcome.passed,
                "ran_s": round(outcome.ran_s, 3),
                "took_s": round(outcome.took_s, 3),
                "diagnostics": [found.as_dict() for found in outcome.found],
            }
            for outcome in outcomes
        ]
        passed = all(outcome.passed for outcome in outcomes)
        told = {"passed": passed, "took_s": round(took_s, 3), "tests": tests}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def write_junit(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a report as JUnit has it, one suite a file.

    Raises:
        OSError: That cannot be written.
    """
    suites = ET.Element("testsuites")
    for file in dict.fromkeys(outcome.file for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.file == file]
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=printable(str(file)),
            tests=str(len(mine)),
            failures=str(sum(not outcome.passed for outcome in mine)),
            time=f"{sum(outcome.took_s for outcome in mine):.3f}",
        )
        for outcome in mine:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=printable(str(file)),
                name=printable(outcome.name),
                time=f"{outcome.took_s:.3f}",
            )
            for found in outcome.found:
                failure = ET.SubElement(case, "failure", message=printable(found.message))
                failure.text = as_text(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
