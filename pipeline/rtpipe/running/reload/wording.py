"""What differs between two files, in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from rtpipe.field_types import changed_fields
from rtpipe.language.spec import Drop, Fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtpipe.language.spec import RouteSpec, StageSpec
    from rtpipe.stage import Options

_LONGEST = 40
_ABSENT = object()


def option_words(options: Options, to: Options) -> Iterator[str]:
    """Yield what differs between two stages of one kind: `gain_db 3 → 6`."""
    changed = changed_fields(options, to)
    for name in type(options).model_fields:
        if name in changed:
            yield from _value_words(name, getattr(options, name), getattr(to, name))


def _value_words(name: str, value: Any, to: Any) -> Iterator[str]:
    if isinstance(value, BaseModel) and isinstance(to, BaseModel) and type(value) is type(to):
        for inner in sorted(changed_fields(value, to)):
            yield from _value_words(f"{name}.{inner}", getattr(value, inner), getattr(to, inner))
    elif isinstance(value, dict) and isinstance(to, dict):
        for key in dict.fromkeys([*value, *to]):
            one, other = value.get(key, _ABSENT), to.get(key, _ABSENT)
            if one != other:
                yield from _value_words(f"{name}.{key}", one, other)
    else:
        one, other = _short(value), _short(to)
        if one is None or other is None or one == other:
            yield f"another {name}"
        else:
            yield f"{name} {one} → {other}"


def _short(value: Any) -> str | None:
    """Return a value as the file has it; None where it is too long, or not to be shown."""
    if value is _ABSENT:
        return "left out"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Path):
        value = value.name
    if not isinstance(value, (int, str)):
        return None
    text = str(value)
    return text if 0 < len(text) <= _LONGEST and text.isprintable() else None


def reads_words(before: Sequence[str], after: Sequence[str]) -> str:
    """Return what a stage reads instead."""
    return f"reads {', '.join(after)} instead of {', '.join(before)}"


def beside_words(old: StageSpec, new: StageSpec) -> Iterator[str]:
    """Yield what differs beside the options."""
    if old.queue != new.queue:
        yield "another queue"
    if old.on_error != new.on_error:
        yield f"on_error {_policy(old)} → {_policy(new)}"
    if old.label != new.label:
        yield "another label"
    if _fallbacks(old) != _fallbacks(new):
        yield "another fallback"


def route_words(route: RouteSpec) -> str:
    """Return what a route hears, and what it sets off: `vad.* → speaker.flush`."""
    heard = ", ".join(route.match)
    where = ", ".join(f"{key} {value}" for key, value in route.where.items())
    source = f" of {route.source}" if route.source else ""
    actions = ", ".join(
        _call(each.stage, each.name, each.args, each.kwargs) for each in route.actions
    )
    return (
        f"{heard}{source}{f' where {where}' if where else ''}{f' → {actions}' if actions else ''}"
    )


def _call(stage: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    given = [*map(str, args), *(f"{key}: {value}" for key, value in kwargs.items())]
    return f"{stage}.{name}({', '.join(given)})" if given else f"{stage}.{name}"


def _policy(spec: StageSpec) -> str:
    policy = spec.on_error
    return "fail" if isinstance(policy, Fail) else "drop" if isinstance(policy, Drop) else "restart"


def _fallbacks(spec: StageSpec) -> list[tuple[object, ...]]:
    return [(each.kind, each.options, each.queue, each.return_after_s) for each in spec.chain[1:]]
