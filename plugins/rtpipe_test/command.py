"""`rtpipe test`: finds the tests, runs them, tells what came of each."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtpipe import ConfigError, ExitCode, RtpipeError
from rtpipe.documents import read_section
from rtpipe_test import reports
from rtpipe_test.judging import judge
from rtpipe_test.reports import Outcome
from rtpipe_test.running import run_case
from rtpipe_test.section import cases_of
from rtpipe_test.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.documents import Section

_PATH = click.Path(path_type=Path)
_UNHEARD = logging.NullHandler()
_WORTH_A_PROCESS = 8
"""As many tests take longer than a second process takes to start."""
_ENDINGS = {".yaml", ".yml"}


@click.command()
@click.argument("paths", nargs=-1, type=_PATH, metavar="[FILE|FOLDER]...")
@click.option("-k", "like", default="", metavar="TEXT", help="Only tests with TEXT in their name.")
@click.option("--update", is_flag=True, help="Write the golden files instead of comparing.")
@click.option("--keep", type=_PATH, metavar="FOLDER", help="Keep what the pipelines write there.")
@click.option("--junit", type=_PATH, metavar="FILE", help="Write a report for a CI server.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    help="How to print what failed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value.")
@click.option("--profile", metavar="NAME", help="Apply one of the file's profiles.")
@click.option("-j", "--jobs", type=click.IntRange(1, 64), help="How many processes to use.")
@click.option("-v", "--verbose", is_flag=True, help="Show what the pipelines log.")
@click.option("--trust", is_flag=True, help="Run the folder's plugins, this once.")
def test(paths: tuple[Path, ...], **said: Any) -> None:
    """Run the tests that stand in pipeline files under `tests:`.

    Of a folder (without arguments: this one) the files are tested that have some. Whole calls are
    run, on a clock of their own and with a server in this process: nothing outside is touched.
    Exits with 1 if a test fails.
    """
    asked = reports.Asked(**said)
    reporter = reports.reporter(asked)
    cases = [case for file in _files(paths or (Path(),)) for case in _cases(file, asked)]
    if not cases:
        where = ", ".join(map(str, paths)) or "this folder"
        like = f" with {asked.like!r} in its name" if asked.like else ""
        raise RtpipeError(
            f"no test{like} in {where}",
            help="write one: `tests: [{name: It ends well, expect: [{drops_ms: 0}]}]`",
            exit_code=ExitCode.USAGE,
        )
    begun = time.perf_counter()
    outcomes = []
    for outcome in _run(cases, asked):
        reporter.tell(outcome)
        outcomes.append(outcome)
    reporter.finish(outcomes, time.perf_counter() - begun)
    if asked.junit is not None:
        reports.write_junit(asked.junit, outcomes)
    if any(not outcome.passed for outcome in outcomes):
        click.get_current_context().exit(ExitCode.FAILED)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = (each for each in path.iterdir() if each.suffix in _ENDINGS)
            yield from sorted(each for each in found if _may_have_tests(each))
        elif path.is_file():
            yield path
        else:
            raise RtpipeError(f"there is no {path}", exit_code=ExitCode.USAGE)


def _may_have_tests(path: Path) -> bool:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return False
    return any(line.startswith(("tests:", '"tests":', "{")) for line in text.splitlines())


def _cases(file: Path, asked: reports.Asked) -> Iterator[tuple[Path, int]]:
    """Yield the file's tests that are asked for, by their numbers."""
    section = _section(file, asked)
    for number, case in enumerate(() if section is None else cases_of(section)):
        if asked.like.lower() in case.name.lower():
            yield file, number


def _section(file: Path, asked: reports.Asked) -> Section | None:
    return _read(file, file.stat().st_mtime_ns, asked)


@lru_cache(maxsize=1)  # a file's tests come one after another
def _read(file: Path, _changed: int, asked: reports.Asked) -> Section | None:
    return read_section([file], "tests", sets=asked.sets, profile=asked.profile, trust=asked.trust)


def _run(cases: list[tuple[Path, int]], asked: reports.Asked) -> Iterator[Outcome]:
    """Run the tests, many of them in several processes; yield what came of each in order."""
    workers = min(asked.jobs or os.cpu_count() or 1, len(cases))
    if workers == 1 or (not asked.jobs and len(cases) < _WORTH_A_PROCESS):
        yield from (outcome_of(case, asked) for case in cases)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(outcome_of, asked=asked), cases)


def outcome_of(place: tuple[Path, int], asked: reports.Asked) -> Outcome:
    """Run a test, and return what came of it.

    Args:
        place: The pipeline file, and which of its tests.
        asked: What the command line asks for.

    Raises:
        ConfigError: The file is wrong.
    """
    file, number = place
    if not asked.verbose:
        logging.getLogger("rtpipe").addHandler(_UNHEARD)  # a fault that a test asks for is no news
    section = _section(file, asked)
    assert section is not None
    case = cases_of(section)[number]
    begun = time.perf_counter()
    with _folder(asked.keep, file, number) as folder:
        staging = Staging(file, section, number, folder, asked)
        try:
            pipeline = staging.pipeline()
        except ConfigError as error:
            found = (replace(each, help=each.help and str(each.help)) for each in error.diagnostics)
            return Outcome(file, case.name, tuple(found))
        seen = run_case(case, pipeline, staging.failures)
        seen.written = staging.written
        misses = judge(case, seen, update=asked.update)
    found = (
        section.finding(
            "E801",
            f"expected that {miss.expected}",
            ("cases", number, *miss.path),
            label=miss.was[0],
            notes=miss.was[1:],
        )
        for miss in misses
    )
    took_s = time.perf_counter() - begun
    return Outcome(file, case.name, tuple(found), ran_s=seen.ended_at, took_s=took_s)


@contextmanager
def _folder(keep: Path | None, file: Path, number: int) -> Iterator[Path]:
    """Give an empty folder for what a test writes; it stays where it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="rtpipe-test-") as temporary:
            yield Path(temporary)
        return
    folder = keep.absolute() / file.stem / str(number + 1)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    yield folder
