"""What a stage's class says about itself, checked without making one."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from rtpipe.audio import AudioFormat
from rtpipe.events import Event, event_type
from rtpipe.field_types import description
from rtpipe.stage import FAMILIES, Options, Sink, Source, Stage
from rtpipe.testing.leftovers import is_framework
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
    if not any(each.__doc__ for each in stage_type.__mro__ if not is_framework(each)):
        yield "its class has no docstring: say there what it does, for `rtpipe stages`"
    yield from _kind_findings(stage_type)
    yield from _options_findings(stage_type.options_type)
    yield from _method_findings(stage_type, families[0])
    yield from _event_findings(stage_type)
    fields = getattr(stage_type.options_type, "model_fields", {})
    for key in sorted(stage_type.live - fields.keys()):
        yield f"live names {key!r}, which is none of its options"
    if not isinstance(stage_type.accepts, AudioFormat | None):
        yield f"accepts must be an AudioFormat or None, not {stage_type.accepts!r}"


def _kind_findings(stage_type: type[Stage[Any]]) -> Iterator[str]:
    kind = getattr(stage_type, "kind", None)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        yield f"kind must be a lower-case word with underscores, not {kind!r}"
    elif kind in RESERVED:
        yield f"kind {kind!r} is a word of the pipeline file: choose another"


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
            yield f"{name}.{key} has no docstring: write one below it, for `rtpipe stages`"
    for key, field in options_type.model_fields.items():
        if not field.is_required() and not _takes(options_type, key, field.get_default()):
            yield f"{name}.{key} does not take its own default: correct the type or the default"
    main = options_type.main
    if main is not None and main not in options_type.model_fields:
        yield f"{name}.main is {main!r}, which is none of its options"


def _takes(options_type: type[Options], key: str, default: Any) -> bool:
    """Return whether an option could be written as its default is; pydantic does not look."""
    if default is None or default is PydanticUndefined:  # of a factory, or of none
        return True
    try:
        options_type.model_validate({key: default})
    except ValidationError as error:
        return not any(found["loc"][:1] == (key,) for found in error.errors(include_url=False))
    return True


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
    if base is Source and inspect.iscoroutinefunction(getattr(stage_type, work)):
        yield "frames() must `yield` its frames: it is an `async def` without one"
    for name, spec in stage_type.actions().items():
        member = getattr(stage_type, spec.method)
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
            yield f"the action {name}() must be a plain `def`: routes run inside publish"
        if not spec.summary:
            yield f"the action {name}() has no docstring: say there what it does, for `rtpipe ctl`"


def _event_findings(stage_type: type[Stage[Any]]) -> Iterator[str]:
    if not isinstance(stage_type.publishes, tuple):
        yield "publishes must be a tuple, of one event as well: `publishes = (TooLoud,)`"
        return
    for entry in stage_type.publishes:
        if isinstance(entry, str):
            continue
        if not (isinstance(entry, type) and issubclass(entry, Event)):
            yield f"publishes holds {entry!r}, which is neither an event class nor a name"
        elif not event_type(entry):
            yield f"{entry.__name__} gives `type` no default"
