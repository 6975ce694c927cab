"""What a stage's class says about itself, checked without making one."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from rtpipe.audio import AudioFormat
from rtpipe.events import Event, event_type
from rtpipe.field_types import description
from rtpipe.stage import FAMILIES, Options, Sink, Stage
from rtpipe.vocabulary import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

_KIND = re.compile(r"[a-z][a-z0-9_]*")
_COROUTINES = ("open", "close", "consume", "consume_at", "drain", "converse", "on_event")
_FUNCTIONS = ("process", "finish", "reset")
_WORK = {
    "source": "frames",
    "transform": "process",
    "sink": "consume",
    "peer": "converse",
    "subscriber": "on_event",
}


def declaration_findings(stage_type: type[Stage[Any]]) -> Iterator[str]:
    """Yield what is wrong with the class itself."""
    families = [name for name, base in FAMILIES.items() if issubclass(stage_type, base)]
    if len(families) != 1:
        yield f"it must extend exactly one of {', '.join(FAMILIES)}, not {families or 'none'}"
        return
    yield from _kind_findings(stage_type)
    yield from _options_findings(stage_type.options_type)
    yield from _method_findings(stage_type, families[0])
    yield from _event_findings(stage_type)
    if not isinstance(stage_type.accepts, AudioFormat | None):
        yield f"accepts must be an AudioFormat or None, not {stage_type.accepts!r}"


def _kind_findings(stage_type: type[Stage[Any]]) -> Iterator[str]:
    kind = getattr(stage_type, "kind", None)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        yield f"kind must be a lower-case word with underscores, not {kind!r}"
    elif kind in RESERVED:
        yield f"kind {kind!r} is a word of the pipeline file"


def _options_findings(options_type: Any) -> Iterator[str]:
    if not (isinstance(options_type, type) and issubclass(options_type, Options)):
        yield f"its options must extend rtpipe.Options, not {options_type!r}"
        return
    name = options_type.__name__
    if options_type.model_config.get("extra") != "forbid":
        yield f"{name} must refuse unknown options: a misspelt one would pass unseen"
    if not options_type.model_config.get("frozen"):
        yield f"{name} must be frozen: what was read from the file stays as it is"
    for key in options_type.model_fields:
        if not description(options_type, key).strip():
            yield f"{name}.{key} has no docstring: `rtpipe stages` has nothing to say about it"
    main = options_type.main
    if main is not None and main not in options_type.model_fields:
        yield f"{name}.main is {main!r}, which is none of its options"


def _method_findings(stage_type: type[Stage[Any]], family: str) -> Iterator[str]:
    work = _WORK[family]
    base = FAMILIES[family]
    wanted = [work, "consume_at"] if base is Sink else [work]
    works = any(getattr(stage_type, name) is not getattr(base, name) for name in wanted)
    if not works and getattr(stage_type, "hears", True):
        yield f"{work}() is not written"
    for name in _COROUTINES:
        if hasattr(base, name) and not inspect.iscoroutinefunction(getattr(stage_type, name)):
            yield f"{name}() must be `async def`"
    for name in _FUNCTIONS:
        if inspect.iscoroutinefunction(getattr(stage_type, name, None)):
            yield f"{name}() must be a plain `def`: nobody awaits it"
    for name, spec in stage_type.actions().items():
        member = getattr(stage_type, spec.method)
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
            yield f"the action {name}() must be a plain `def`: routes run inside publish"
        if not spec.summary:
            yield f"the action {name}() has no docstring"


def _event_findings(stage_type: type[Stage[Any]]) -> Iterator[str]:
    for entry in stage_type.publishes:
        if isinstance(entry, str):
            continue
        if not (isinstance(entry, type) and issubclass(entry, Event)):
            yield f"publishes holds {entry!r}, which is neither an event class nor a name"
        elif not event_type(entry):
            yield f"{entry.__name__} gives `type` no default"
