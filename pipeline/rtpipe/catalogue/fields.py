"""What an option takes, in words: from the annotation of a pydantic field."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from rtpipe.vocabulary import keys
from rtpipe.wording.flow import flow

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_UNIONS = (Union, types.UnionType)
_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
}
_EXAMPLES: dict[type, Any] = {bool: True, int: 1, float: 1.0, str: "text"}


def annotation(field: FieldInfo) -> Any:
    """Return a field's whole annotation, its constraints included."""
    inner: Any = field.annotation
    for extra in field.metadata:
        inner = Annotated[inner, extra]
    return inner


def described(wanted: Any) -> str:
    """Return what an annotation takes: `a whole number from 0 to 3`."""
    base, extras = _split(wanted)
    origin = get_origin(base)
    if origin in _UNIONS:
        texts = dict.fromkeys(described(arg) for arg in get_args(base))
        return " or ".join(sorted(texts, key=lambda text: text == "nothing"))
    choices = choices_of(base)
    if choices:
        return f"one of {', '.join(str(choice) for choice in choices)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        args = get_args(base)
        return f"a mapping of {_plural(args[1])}" if args and args[1] is not Any else "a mapping"
    if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset):
        return _list(base)
    if "sink" in extras:
        return "the id of a sink"
    if "event" in extras:
        return "an event's name or a glob"
    if isinstance(base, type):
        return _class(base) + _range(extras)
    return "a value"


def choices_of(wanted: Any) -> list[Any]:
    """Return the values that an annotation is limited to, if it is."""
    base, _ = _split(wanted)
    if get_origin(base) is Literal:
        return list(get_args(base))
    if isinstance(base, type) and issubclass(base, Enum):
        return [member.value for member in base]
    if get_origin(base) in _UNIONS:
        return [choice for arg in get_args(base) for choice in choices_of(arg)]
    return []


def example(wanted: Any, default: Any = None) -> Any:
    """Return a value that an annotation takes, for a help text."""
    if default not in (None, PydanticUndefined) and isinstance(default, str | int | float):
        return default.value if isinstance(default, Enum) else default
    base, extras = _split(wanted)
    if get_origin(base) in _UNIONS:
        base, extras = _split(get_args(base)[0])
    choices = choices_of(base)
    if choices:
        return choices[0]
    lowest = next(
        (_bound(e, "ge", "gt") for e in extras if _bound(e, "ge", "gt") is not None), None
    )
    highest = next((_bound(e, "le", "lt") for e in extras if _bound(e, "le", "lt")), None)
    if lowest is not None and highest is not None:
        return (lowest + highest) // 2 if base is int else (lowest + highest) / 2
    if lowest is not None:
        return lowest or 1  # 0 turns most things off
    if isinstance(base, type) and issubclass(base, PurePath):
        return "folder/name.wav"
    return _EXAMPLES.get(base, "text") if isinstance(base, type) else "text"


def shown_default(field: FieldInfo) -> str:
    """Return a field's default as YAML; "required" where it has none."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    return flow(_simple(default))


def model_of(wanted: Any) -> type[BaseModel] | None:
    """Return the one model that an annotation holds, optional or not; None if there is no one."""
    base, _ = _split(wanted)
    if get_origin(base) in _UNIONS:
        models = [found for arg in get_args(base) if (found := model_of(arg)) is not None]
        return models[0] if len(models) == 1 else None
    return base if isinstance(base, type) and issubclass(base, BaseModel) else None


def inside(wanted: Any, step: str | int) -> Any:
    """Return the annotation of what `step` leads to inside a value, or None."""
    base, _ = _split(wanted)
    model = model_of(base)
    if model is not None and step in (known := keys(model)):
        return annotation(known[str(step)])
    for arg in get_args(base) if get_origin(base) in _UNIONS else (base,):
        inner, _ = _split(arg)
        args, origin = get_args(inner), get_origin(inner)
        if not isinstance(origin, type) or not args:
            continue
        if issubclass(origin, Mapping) is isinstance(step, int):
            continue
        if issubclass(origin, Mapping):
            return args[1]
        if issubclass(origin, tuple) and isinstance(step, int) and args[-1] is not Ellipsis:
            return args[step] if step < len(args) else None
        return args[0]
    return None


def branch(wanted: Any, name: str) -> Any:
    """Return the one of several types that pydantic calls `name`; all of them if none is."""
    base, _ = _split(wanted)
    for arg in get_args(base) if get_origin(base) in _UNIONS else ():
        inner, _ = _split(arg)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            continue
        tags = [choice for f in inner.model_fields.values() for choice in choices_of(annotation(f))]
        if inner.__name__ == name or name in tags:
            return inner
    return wanted


def marks(wanted: Any) -> Iterator[object]:
    """Yield everything an annotation is made of: its types and what is attached to them."""
    base, extras = _split(wanted)
    yield base
    yield from extras
    if get_origin(base) in _UNIONS:
        for arg in get_args(base):
            yield from marks(arg)


def is_secret(wanted: Any) -> bool:
    """Return whether values of this annotation must not be shown."""
    return any(mark is SecretStr for mark in marks(wanted))


def path_role(wanted: Any) -> Literal["input", "output"] | None:
    """Return whether an annotation is `InputPath`, `OutputPath` or neither."""
    for mark in marks(wanted):
        if mark == "input":
            return "input"
        if mark == "output":
            return "output"
    return None


def takes_single_value(wanted: Any) -> bool:
    """Return whether a text, a number, true or false may stand here, and so a `${...}`."""
    base, _ = _split(wanted)
    if get_origin(base) in _UNIONS:
        return any(takes_single_value(arg) for arg in get_args(base))
    holder = get_origin(base) or base
    if not isinstance(holder, type) or issubclass(holder, str):
        return True
    return not issubclass(holder, (BaseModel, Mapping, Sequence, set, frozenset, type(None)))


def names_a_sink(wanted: Any) -> bool:
    """Return whether an annotation is `SinkId`."""
    return any(mark == "sink" for mark in marks(wanted))


def names_an_event(wanted: Any) -> bool:
    """Return whether an annotation is `EventGlob`."""
    return any(mark == "event" for mark in marks(wanted))


def names_events(options: BaseModel) -> bool:
    """Return whether an option that is set names an event (`EventGlob`)."""
    return _holds_event(options, type(options))


def _holds_event(value: object, wanted: Any) -> bool:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return any(_holds_event(getattr(value, n), annotation(f)) for n, f in fields.items())
    if isinstance(value, Mapping):
        return any(_holds_event(item, inside(wanted, str(key))) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(_holds_event(item, inside(wanted, at)) for at, item in enumerate(value))
    return isinstance(value, str) and names_an_event(wanted)


def _split(wanted: Any) -> tuple[Any, tuple[Any, ...]]:
    extras: tuple[Any, ...] = ()
    while get_origin(wanted) is Annotated:
        wanted, *more = get_args(wanted)
        extras += tuple(more)
    flat: list[Any] = []
    for extra in extras:  # Field(ge=0) inside a union keeps its constraints one level down
        flat += [extra, *getattr(extra, "metadata", ())]
    return wanted, tuple(flat)


def _class(base: type) -> str:
    if base in _NAMES:
        return _NAMES[base]
    if issubclass(base, BaseModel):
        return (
            f"a mapping with {', '.join(base.model_fields)}" if base.model_fields else "a mapping"
        )
    if issubclass(base, PurePath):
        return "a path"
    if issubclass(base, dict):
        return "a mapping"
    if issubclass(base, list | tuple | set | frozenset):
        return "a list"
    return "text" if base is SecretStr else "a value"


def _list(base: Any) -> str:
    args = [arg for arg in get_args(base) if arg is not Ellipsis]
    if get_origin(base) is tuple and Ellipsis not in get_args(base) and len(args) > 1:
        return f"a list of {len(args)}: {', '.join(described(arg) for arg in args)}"
    return f"a list of {_plural(args[0])}" if args and args[0] is not Any else "a list"


def _plural(wanted: Any) -> str:
    return " or ".join(_several(each) for each in re.split(" or (?=a )", described(wanted)))


def _several(one: str) -> str:
    first, *rest = one.split(" ")
    if first == "a" and rest:
        noun = next((word for word in ("number", "path", "mapping", "list") if word in rest), None)
        return " ".join(f"{word}s" if word == noun else word for word in rest)
    return one


def _bound(extra: Any, *names: str) -> float | None:
    for name in names:
        value = getattr(extra, name, None)
        if isinstance(value, int | float):
            return value
    return None


def _range(extras: tuple[Any, ...]) -> str:
    low = high = above = below = None
    for extra in extras:
        low = _bound(extra, "ge") if low is None else low
        high = _bound(extra, "le") if high is None else high
        above = _bound(extra, "gt") if above is None else above
        below = _bound(extra, "lt") if below is None else below
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    texts = []
    if low is not None:
        texts.append(f"{low:g} or more")
    if above is not None:
        texts.append(f"more than {above:g}")
    if high is not None:
        texts.append(f"{high:g} or less")
    if below is not None:
        texts.append(f"less than {below:g}")
    return f", {' and '.join(texts)}" if texts else ""


def _simple(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _simple(value.model_dump(mode="json", exclude_none=True))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _simple(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_simple(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
