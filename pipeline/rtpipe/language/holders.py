"""One device or file, one holder: no output onto an input, none onto another output."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from rtpipe.catalogue.fields import annotation, inside, path_role
from rtpipe.wording.diagnostics import Related

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtpipe.language.spec import RouteSpec, StageSpec
    from rtpipe.wording.diagnostics import Findings


class _Use(Enum):
    """How something is used; two stages may use one thing at once if both read or both add."""

    ALONE = auto()
    READ = auto()
    ADDED_TO = auto()


_FILE = "file:"
_Holder: TypeAlias = "tuple[StageSpec, _Use]"


def check_holders(
    stages: Iterable[StageSpec], routes: Iterable[RouteSpec], findings: Findings
) -> None:
    """Report two stages that want one device or one file for themselves, or write what one reads.

    A file is the same under all its names: links, `..`, another case where the disk knows none.
    The pipeline's own files are read, too.
    """
    own = {_identity(f"{_FILE}{path.absolute()}") for path in findings.sources}
    subscribers = [route.subscriber for route in routes if route.subscriber is not None]
    holders: dict[object, list[_Holder]] = {}
    for stage in (member for each in [*stages, *subscribers] for member in each.chain):
        for name, use in _uses(stage).items():
            identity = _identity(name)
            if use is not _Use.READ and identity in own:
                _report_own(stage, name, findings)
            held = holders.setdefault(identity, [])
            for first, theirs in held:
                if first.id != stage.id and (use is not theirs or use is _Use.ALONE):
                    _report((first, theirs), (stage, use), name, findings)
                    break
            if sum(theirs is use for _, theirs in held) < 2:  # a third collides as the first do
                held.append((stage, use))


def _report_own(stage: StageSpec, name: str, findings: Findings) -> None:
    findings.error(
        "E114",
        f"`{stage.id}` would write to the pipeline's own {name}",
        stage.span,
        label="would write to it",
        help=f"give `{stage.id}` another file",
    )


def _report(first: _Holder, second: _Holder, name: str, findings: Findings) -> None:
    (has, _), (wants, use) = first, second
    sort = name.partition(":")[0]
    message = f"`{has.id}` and `{wants.id}` both want {name}"
    help = f"give `{wants.id}` another {sort}, or let others read it: `from: {has.id}`"
    if _Use.READ in {first[1], use}:
        reader, writer = (wants, has) if use is _Use.READ else (has, wants)
        message = f"`{writer.id}` would write to what `{reader.id}` reads: {name}"
        help = f"give `{writer.id}` another {sort}"
    findings.error(
        "E114",
        message,
        wants.span,
        label="wants it too",
        help=help,
        related=[Related(has.span, "has it")],
    )


def _uses(stage: StageSpec) -> dict[str, _Use]:
    """Return what a stage uses, by the name it has there."""
    roles = {"input": _Use.READ, "output": _Use.ADDED_TO}
    uses = {f"{_FILE}{path.absolute()}": roles[role] for path, role in _paths(stage.options)}
    return uses | dict.fromkeys(sorted(stage.claims), _Use.ALONE)


def _paths(options: BaseModel) -> Iterator[tuple[Path, str]]:
    """Yield the paths among some options, however deep, and whether each is input or output."""
    for name, field in type(options).model_fields.items():
        yield from _paths_in(getattr(options, name), annotation(field))


def _paths_in(value: Any, wanted: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, BaseModel):
        yield from _paths(value)
    elif isinstance(value, Path):
        role = path_role(wanted)
        if role is not None:
            yield value, role
    elif isinstance(value, list | tuple | Mapping):
        steps = value.items() if isinstance(value, Mapping) else enumerate(value)
        for step, inner in steps:
            yield from _paths_in(inner, inside(wanted, step))


def _identity(name: str) -> object:
    """Return what is equal for two names of one thing: of a file that exists, device and inode."""
    if not name.startswith(_FILE):
        return name
    path = name.removeprefix(_FILE)
    try:
        found = os.stat(path)  # noqa: PTH116 - the name need not be one that Path takes
    except (OSError, ValueError):
        return os.path.realpath(path)
    # Anybody may write to /dev/null, which keeps nothing.
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else name
