"""`rtpipe test`: finds the tests, runs them, tells what came of each."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtpipe import ConfigError, ExitCode, RtpipeError
from rtpipe.documents import read_section
from rtpipe_test import reports
from rtpipe_test.reports import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.documents import Section

_PATH = click.Path(path_type=Path)
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
@click.option("--trust", is_flag=True, help="Run the folder's plugins, this once.")
def test(paths: tuple[Path, ...], **said: Any) -> None:
    """Run the tests that stand in pipeline files under `tests:`.

    Of a folder (without arguments: this one) the files are tested that have some. Whole calls are
    run, on a clock of their own and with a server in this process: nothing outside is touched.
    Exits with 1 if a test fails.
    """
    asked = reports.Asked(**said)
    outcomes: list[Outcome] = []
    reporter = reports.reporter(asked)
    for file in _files(paths or (Path(),)):
        outcomes += _tested(file, asked, reporter)
    if not outcomes:
        where = ", ".join(map(str, paths)) or "this folder"
        like = f" with {asked.like!r} in its name" if asked.like else ""
        raise RtpipeError(
            f"no test{like} in {where}",
            help="write one: `tests: [{name: It ends well, expect: [{drops_ms: 0}]}]`",
            exit_code=ExitCode.USAGE,
        )
    reporter.finish(outcomes)
    if asked.junit is not None:
        reports.write_junit(asked.junit, outcomes)
    if any(not outcome.passed for outcome in outcomes):
        click.get_current_context().exit(1)


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


def _tested(file: Path, asked: reports.Asked, reporter: reports.Reporter) -> Iterator[Outcome]:
    section = read_section(
        [file], "tests", sets=asked.sets, profile=asked.profile, trust=asked.trust
    )
    if section is None:
        return
    for number, case in enumerate(section.said.cases):  # type: ignore[attr-defined]
        if asked.like.lower() not in case.name.lower():
            continue
        outcome = _outcome(file, section, number, asked)
        reporter.tell(outcome)
        yield outcome


def _outcome(file: Path, section: Section, number: int, asked: reports.Asked) -> Outcome:
    from rtpipe_test.judging import judge
    from rtpipe_test.running import run_case
    from rtpipe_test.staging import Staging

    case = section.said.cases[number]  # type: ignore[attr-defined]
    begun = time.perf_counter()
    with _folder(asked.keep, file, number) as folder:
        try:
            staging = Staging(
                (file,),
                section,
                number,
                folder,
                profile=asked.profile,
                sets=asked.sets,
                trust=asked.trust,
            )
            pipeline = staging.pipeline()
            seen = run_case(case, pipeline, staging.failures)
        except ConfigError as error:
            return Outcome(file, case.name, tuple(error.diagnostics))
        seen.written = staging.written
        misses = judge(case, seen, update=asked.update)
    found = [
        section.finding(
            "E801",
            f"{case.name}: {miss.expected}",
            ("cases", number, *miss.path),
            label=miss.was[0] if miss.was else "",
            notes=miss.was[1:],
        )
        for miss in misses
    ]
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
