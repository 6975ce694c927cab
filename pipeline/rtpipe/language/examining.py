"""Stages examine themselves: what they find, at its place in the file. Knows no kind by name."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import ConfigError, EnvironmentProblem
from rtpipe.examination import Finding, OptionModel
from rtpipe.language.checking import check_document
from rtpipe.language.nodes import MapNode, at
from rtpipe.language.spec import StageSpec
from rtpipe.wording.diagnostics import Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe.examination import Examined
    from rtpipe.language.spec import PipelineSpec
    from rtpipe.wording.diagnostics import Findings


def examine(pipeline: PipelineSpec, findings: Findings, *, machine: bool) -> None:
    """Let every stage of a pipeline, fallbacks included, examine itself.

    What the file ships and gets wrong becomes an error. What the machine lacks becomes a warning,
    unless a fallback that lacks nothing takes over.

    Args:
        pipeline: A pipeline that holds.
        findings: Takes what is found.
        machine: Whether to tell what this machine lacks.
    """
    for stage in stages_of(pipeline):
        relieved = False
        for member in reversed(stage.chain):
            works = _examine(member, findings, machine=machine, relieved=relieved)
            relieved = relieved or works


def stages_of(pipeline: PipelineSpec) -> list[StageSpec]:
    """Return the stages and subscribers of a pipeline, without their fallbacks."""
    subscribers = (route.subscriber for route in pipeline.routes)
    return [*pipeline.stages, *(each for each in subscribers if each is not None)]


def installed_stages() -> list[StageSpec]:
    """Return a stage of each installed kind that needs no options; each has the id ""."""
    found = []
    nowhere = Span(Path(), 1, 1)
    for kind, stage_type in Registry.discover().kinds.importable().items():
        with suppress(ValidationError):
            options = stage_type.options_type.model_validate({})
            found.append(StageSpec("", kind, stage_type, options, nowhere))
    return found


async def probe(stage: StageSpec) -> AsyncIterator[Finding]:
    """Yield what a probe of a stage shows, then what its examination does.

    A stage whose probe raises has the status `unknown`.
    """
    try:
        async for finding in stage.stage_type.probe(stage.options):
            yield finding
    except EnvironmentProblem as problem:
        yield Finding("missing", problem.message, help=problem.help, name=stage.kind)
    except Exception as error:  # noqa: BLE001 - a stranger's code
        yield Finding("unknown", f"the probe failed: {_described(error)}", name=stage.kind)
    looked, _ = _look(stage)
    for each in looked:
        if isinstance(each, Finding):
            yield each


def _examine(stage: StageSpec, findings: Findings, *, machine: bool, relieved: bool) -> bool:
    """Report what a stage finds; return whether it could be opened as far as that shows."""
    works = True
    looked, fault = _look(stage)
    for each in looked:
        if isinstance(each, OptionModel):
            works = _check_option(stage, each, findings) and works
        elif each.status == "wrong":
            works = False
            findings.error("E601", each.message, option_span(stage, each.option), help=each.help)
        elif each.status == "missing":
            works = works and not each.needed
            if machine and not (each.needed and relieved):
                findings.warning(
                    "E602", each.message, option_span(stage, each.option), help=each.help
                )
    if isinstance(fault, ConfigError):
        works = False
        for diagnostic in fault.diagnostics:
            findings.add(diagnostic)
    elif fault is not None:
        message = f"`{stage.kind}` could not examine itself: {_described(fault)}"
        help = "the stage is at fault, not this file; tell its author"
        findings.warning("E603", message, stage.span, help=help)
    return works


def _look(stage: StageSpec) -> tuple[list[Examined], Exception | None]:
    """Return what a stage finds, and what it raised instead of going on."""
    looked: list[Examined] = []
    try:
        for each in stage.stage_type.examine(stage.options):
            if not isinstance(each, Finding | OptionModel):
                raise TypeError(f"{each!r} is no Finding")  # noqa: TRY301 - as if it had raised
            looked.append(each)
    except EnvironmentProblem as problem:
        looked.append(Finding("missing", problem.message, help=problem.help))
    except Exception as error:  # noqa: BLE001 - a stranger's code
        return looked, error
    return looked, None


def _check_option(stage: StageSpec, wanted: OptionModel, findings: Findings) -> bool:
    node = None if stage.written is None else at(stage.written, _path(wanted.option))[0]
    if not isinstance(node, MapNode):
        return True
    return check_document(wanted.model, wanted.option, node, findings) is not None


def option_span(stage: StageSpec, option: str) -> Span:
    """Return where an option of a stage stands; its kind where the file leaves the option out."""
    path = _path(option)
    if stage.written is None or not path:
        return stage.span
    node, _, rest = at(stage.written, path)
    return stage.span if len(rest) == len(path) else node.span


def _path(option: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdecimal() else step for step in option.split(".") if step)


def _described(error: BaseException) -> str:
    place: Any = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"{said} ({Path(place.filename).name}:{place.lineno})"
