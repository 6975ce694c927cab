"""`rtpipe doctor`: what this machine has and what it lacks, each lack with its remedy."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtpipe import ExitCode, RtpipeError
from rtpipe.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe import Finding, StageSpec
    from rtpipe.examination import Status

_SIGNS = {"ok": "ok", "missing": "--", "wrong": "--", "unknown": "??"}


@dataclass(slots=True)
class Check:
    """A line of the report.

    Attributes:
        name: What was looked at.
        status: `unknown` where it could not be told.
        detail: What was seen.
        remedy: What to do about it; "" where all is well.
        needed: Whether the pipeline cannot run without it.
    """

    name: str
    status: Status
    detail: str
    remedy: str
    needed: bool = False

    @property
    def lacking(self) -> bool:
        """Whether it is not there, or wrong."""
        return self.status in {"missing", "wrong"}


class Report:
    """The checks; what concerns the machine and no stage alone is told once.

    Args:
        shown: Whether to print each as it comes: some take seconds.
    """

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._checks: dict[tuple[str, ...], Check] = {}

    @property
    def checks(self) -> list[Check]:
        """All of them, in order."""
        return list(self._checks.values())

    def take(self, finding: Finding, id: str = "") -> Check:
        """Add what was found, for the stage `id`; return its check, which may be there already."""
        name, detail = finding.name or finding.option, finding.message
        if finding.option and id:
            name = f"{name} ({id})"
        key = (name, finding.status, detail if finding.option else "")
        known = self._checks.get(key)
        if known is not None:
            return known
        check = self._checks[key] = Check(name, finding.status, detail, finding.help or "")
        if self._shown:
            click.echo(printable(f"{_SIGNS[check.status]}  {check.name}: {check.detail}"))
            if check.remedy:
                click.echo(printable(f"      = help: {check.remedy}"))
        return check


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sound", is_flag=True, help="Play a soft chirp, and listen for it.")
@click.option("--trust", is_flag=True, help="Run the plugins that FILE brings along, this once.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def doctor(file: Path | None, *, as_json: bool, sound: bool, trust: bool) -> None:
    """Look at this machine: sound, key, network, and a call to itself.

    With FILE at what its stages need, and exits with 69 if something is missing that this pipeline
    cannot run without; a stage with a `fallback:` can.
    """
    from rtpipe import installed_stages

    stages = installed_stages() if file is None else _stages(file, trust=trust)
    report = Report(shown=not as_json)
    asyncio.run(_examine(stages, report, fatal=file is not None, sound=sound))
    lacking = [check.name for check in report.checks if check.needed and check.lacking]
    if as_json:
        checks = [dataclasses.asdict(check) for check in report.checks]
        found = {"ok": not lacking, "checks": checks}
        click.echo(printable(json.dumps(found, indent=2, ensure_ascii=False)))
    if lacking:
        raise RtpipeError(f"{file} lacks {', '.join(lacking)}", exit_code=ExitCode.UNAVAILABLE)


def _stages(file: Path, *, trust: bool) -> list[StageSpec]:
    """Return the stages of a file; say which code of its folder was not run to look at it."""
    from rtpipe import load, stages_of

    pipeline = load(file, examine="file", trust=trust)
    for warning in pipeline.warnings:
        if warning.code == "E404":
            click.echo(printable(f"warning[E404]: {warning.message}; {warning.help}"), err=True)
    return stages_of(pipeline.spec)


async def _examine(
    stages: Iterable[StageSpec], report: Report, *, fatal: bool, sound: bool
) -> None:
    """Probe the stages and their fallbacks.

    Args:
        stages: Which.
        report: Takes the findings.
        fatal: Whether a stage needs what it asks for, unless one of its fallbacks does without.
        sound: Play and record something.
    """
    report.take(_libraries())
    able: list[StageSpec] = []
    for stage in stages:
        chain = [await _probe(member, report) for member in stage.chain]
        works = [not any(check.lacking for check in needed) for needed in chain]
        able += [member for member, well in zip(stage.chain, works, strict=True) if well]
        if fatal and (stage.fallback is None or not any(works)):
            for check in (check for needed in chain for check in needed):
                check.needed = True
    if sound:
        from rtpipe_plugins.commands.doctor.sound import try_sound

        for finding in await try_sound([stage.options for stage in able]):
            report.take(finding)


async def _probe(stage: StageSpec, report: Report) -> list[Check]:
    """Report what a stage shows; return what it cannot do without."""
    from rtpipe import probe

    checks = [(finding, report.take(finding, stage.id)) async for finding in probe(stage)]
    return [check for finding, check in checks if finding.needed]


def _libraries() -> Finding:
    """Look at the libraries that carry the audio."""
    import av

    from rtpipe import Finding

    shown = [f"{name} {version(name)}" for name in ("av", "aiortc", "numpy", "sounddevice")]
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return Finding("ok", f"{', '.join(shown)}, libavcodec {codec}", name="libraries")
