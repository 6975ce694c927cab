"""Stages examine themselves: what they find, at its place in the file. Knows no kind by name."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import ConfigError, EnvironmentProblem
from rtpipe.examination import Examined, Finding, Ineffective, MachineLook, OptionModel
from rtpipe.language.checking import check_document
from rtpipe.language.nodes import MapNode, ScalarNode, at
from rtpipe.language.proportions import check_proportions
from rtpipe.language.removal import without
from rtpipe.language.spec import StageSpec
from rtpipe.wording.diagnostics import Remedy, Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from rtpipe.language.spec import PipelineSpec
    from rtpipe.wording.diagnostics import Findings


def examine(
    pipeline: PipelineSpec, findings: Findings, *, machine: bool, patched: Collection[str] = ()
) -> None:
    """Let every stage of a pipeline, fallbacks included, examine itself.

    What the file ships and gets wrong becomes an error. What the machine lacks becomes a warning,
    unless a fallback that lacks nothing takes over.

    Args:
        pipeline: A pipeline that holds.
        findings: Takes what is found.
        machine: Whether to tell what this machine lacks.
        patched: Ids of the stages that some profile changes.
    """
    for stage in stages_of(pipeline):
        relieved = False
        for member in reversed(stage.chain):
            look = _Examination(member, findings, machine, relieved, member.id in patched)
            relieved = look.take() or relieved


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


def installed_kinds() -> frozenset[str]:
    """Return the names of all installed kinds of stages."""
    return frozenset(Registry.discover().kinds)


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


@dataclass(frozen=True, slots=True)
class _Examination:
    """What one stage finds becomes diagnostics.

    Attributes:
        stage: Which.
        findings: Takes them.
        machine: Whether to tell what this machine lacks.
        relieved: Whether a fallback takes over.
        patched: Whether some profile changes the stage.
    """

    stage: StageSpec
    findings: Findings
    machine: bool
    relieved: bool
    patched: bool

    def take(self) -> bool:
        """Report what the stage finds; return whether it could be opened as far as that shows."""
        stage, findings = self.stage, self.findings
        if stage.written is not None:
            model = stage.stage_type.options_type
            check_proportions(stage.kind, stage.written, model, findings)
        looked, fault = _look(stage)
        works = True
        for each in looked:
            works = self._one(each) and works
        if isinstance(fault, ConfigError):
            works = False
            for diagnostic in fault.diagnostics:
                findings.add(diagnostic)
        elif fault is not None:
            self._fault(fault)
        return works

    def _one(self, each: Examined) -> bool:
        match each:
            case OptionModel():
                return self._option(each)
            case Ineffective():
                return self._ineffective(each)
            case MachineLook():
                return self.relieved or not self.machine or self._look(each)
        return self._finding(each)

    def _look(self, wanted: MachineLook) -> bool:
        works = True
        try:
            for found in wanted.look():
                works = self._finding(found) and works
        except EnvironmentProblem as problem:
            works = self._finding(Finding("missing", problem.message, help=problem.help))
        except Exception as error:  # noqa: BLE001 - a stranger's code
            self._fault(error)
        return works

    def _fault(self, error: Exception) -> None:
        message = f"`{self.stage.kind}` could not examine itself: {_described(error)}"
        help = "the stage is at fault, not this file; tell its author"
        self.findings.warning("E603", message, self.stage.span, help=help)

    def _finding(self, found: Finding) -> bool:
        place = option_span(self.stage, found.option)
        help = self._help(found, place)
        if found.status == "wrong":
            self.findings.error("E601", found.message, place, help=help)
            return False
        if found.status == "odd":
            self.findings.warning("E604", found.message, place, help=help)
        if found.status != "missing":
            return True
        if self.machine and not (found.needed and self.relieved):
            self.findings.warning("E602", found.message, place, help=help)
        return not found.needed

    def _help(self, found: Finding, place: Span) -> str | None:
        """Return a finding's help; a remedy says where to write it only where that is known."""
        help = found.help
        if found.meant:
            end = place.column - 1 + place.length
            start = self.findings.line(place).rfind(found.slip, place.column - 1, end)
            part = replace(place, column=start + 1, length=len(found.slip)) if start >= 0 else None
            help = Remedy("did you mean `{}`?", found.meant, part)
            return str(help) if part is None else help
        if not isinstance(help, Remedy) or self.stage.written is None:
            return None if help is None else str(help)
        node, _, absent = at(self.stage.written, _path(found.option))
        filled = isinstance(node, ScalarNode) and "${" in node.raw
        return str(help) if absent or filled else help

    def _option(self, wanted: OptionModel) -> bool:
        if self.stage.written is None:
            return True
        node, _, rest = at(self.stage.written, _path(wanted.option))
        if rest or not isinstance(node, MapNode):
            return True
        check_proportions(wanted.option, node, wanted.model, self.findings)
        return check_document(wanted.model, wanted.option, node, self.findings) is not None

    def _ineffective(self, found: Ineffective) -> bool:
        written, path = self.stage.written, _path(found.option)
        if written is None or self.patched or at(written, path)[2]:
            return True
        file = _key(written, path).path
        for option in found.beside:
            node, _, rest = at(written, _path(option))
            varies = isinstance(node, ScalarNode) and "${" in node.raw
            if not rest and (varies or node.span.path != file):
                return True
        help = without("leave it out", written, path, self.findings)
        if found.instead and isinstance(help, Remedy):
            help = Remedy(f"leave it out, or {found.instead}", help.text, help.span)
        elif found.instead:
            help = f"leave it out, or {found.instead}"
        self.findings.error(
            "E120", found.message, _key(written, path), label="has no effect", help=help
        )
        return False


def _look(stage: StageSpec) -> tuple[list[Examined], Exception | None]:
    """Return what a stage finds, and what it raised instead of going on."""
    looked: list[Examined] = []
    try:
        for each in stage.stage_type.examine(stage.options):
            if not isinstance(each, Examined):
                raise TypeError(f"{each!r} is no Finding")  # noqa: TRY301 - as if it had raised
            looked.append(each)
    except EnvironmentProblem as problem:
        looked.append(Finding("missing", problem.message, help=problem.help))
    except Exception as error:  # noqa: BLE001 - a stranger's code
        return looked, error
    return looked, None


def _key(written: MapNode, path: tuple[str | int, ...]) -> Span:
    node, entry, _ = at(written, path)
    return node.span if entry is None else entry.key_span


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
