"""What a stage finds when it examines itself, checked without opening it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, get_args

from rtpipe.examination import Examined, Finding, MachineLook, Status
from rtpipe.testing.reading import in_any_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.stage import Options, Stage

_QUICK_S = 1.0


def examination_findings(stage_type: type[Stage[Any]], options: Options) -> Iterator[str]:
    """Yield what is wrong with how a stage with these options examines itself."""
    before, began = set(sys.modules), time.monotonic()
    try:
        for each in stage_type.examine(options):
            yield from _finding_findings(each, options)
    except Exception as error:  # noqa: BLE001 - whatever a stage raises here is a finding
        yield f"examine() raised {type(error).__name__}: {error}"
    if time.monotonic() - began > _QUICK_S:
        yield f"examine() took longer than {_QUICK_S:g} s: what must be tried is for probe()"
    roots = {name.partition(".")[0] for name in set(sys.modules) - before}
    own = {stage_type.__module__.partition(".")[0], *in_any_run()}
    for name in sorted(roots - own - sys.stdlib_module_names):
        yield f"examine() imports {name}: importlib.util.find_spec tells whether it is installed"
    probing: Any = stage_type.probe(options)
    if not hasattr(probing, "__aiter__"):
        yield "probe() must yield: `async def` with `yield`"
        if hasattr(probing, "close"):
            probing.close()


def _finding_findings(each: object, options: Options) -> Iterator[str]:
    if not isinstance(each, Examined):
        yield f"examine() gives {each!r}, which is no Finding"
        return
    if isinstance(each, Finding) and each.status not in get_args(Status):
        yield f"examine() gives the status {each.status!r}, which is none of {get_args(Status)}"
    if isinstance(each, MachineLook):  # it needs a machine
        return
    option = each.option.partition(".")[0]
    if option and option not in type(options).model_fields:
        yield f"examine() speaks of the option {option!r}, which there is not"
