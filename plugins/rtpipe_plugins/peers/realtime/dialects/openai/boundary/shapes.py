"""The types of the fields that are read of a server's events, and making an event fit them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HUGE = 1e15  # milliseconds, seconds, tokens: what is larger would overflow somewhere
_MOST_PROBLEMS = 8  # of one event


@dataclass(frozen=True, slots=True)
class Scalar:
    """A field without fields of its own.

    Attributes:
        what: What it must be, in words.
        taken: Returns the value to be used; `_NOTHING` where there is none.
    """

    what: str
    taken: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Object:
    """A field that has fields; those that are not named here may be anything.

    Attributes:
        fields: What is read of it.
        text: The field that a plain text stands for, where servers send one in its place.
    """

    fields: Mapping[str, Shape]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """A list of objects; one that is none is empty, so that the others keep their places."""

    each: Object


Shape: TypeAlias = Scalar | Object | Objects


class _Nothing:
    """Stands for a value that cannot be used."""


_NOTHING = _Nothing()


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else _NOTHING


def _number(value: Any) -> Any:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE
    return value if fits else _NOTHING


def _count(value: Any) -> Any:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _HUGE
    return value if fits else _NOTHING


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else _NOTHING


def _json(value: Any) -> Any:
    """A text that holds JSON; some servers send what it would hold."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _text(value)


def _code(value: Any) -> Any:
    """A word; some servers send a number."""
    return f"{value}" if _count(value) is not _NOTHING else _text(value)


TEXT = Scalar("a text", _text)
NUMBER = Scalar("a number", _number)
COUNT = Scalar("a count", _count)
FLAG = Scalar("true or false", _flag)
JSON = Scalar("a text", _json)
CODE = Scalar("a text", _code)

_ERROR = Object(
    {"type": TEXT, "code": CODE, "message": TEXT, "event_id": TEXT},
    text="message",
)
_PART = Object({"type": TEXT, "text": TEXT, "transcript": TEXT})
_ITEM = Object(
    {
        "id": TEXT,
        "type": TEXT,
        "role": TEXT,
        "content": Objects(_PART),
        "call_id": TEXT,
        "name": TEXT,
        "arguments": JSON,
        "output": TEXT,
        "server_label": TEXT,
        "tools": Objects(Object({"name": TEXT})),
        "error": Object({"type": TEXT, "code": CODE, "message": TEXT}, text="message"),
    }
)
_DETECTION = Object(
    {
        "type": TEXT,
        "eagerness": TEXT,
        "silence_duration_ms": NUMBER,
        "prefix_padding_ms": NUMBER,
        "create_response": FLAG,
        "interrupt_response": FLAG,
    }
)
_RESPONSE = Object(
    {
        "id": TEXT,
        "status": TEXT,
        "conversation_id": TEXT,
        "status_details": Object({"reason": TEXT, "error": _ERROR}, text="reason"),
        "usage": Object(
            {
                "input_tokens": COUNT,
                "output_tokens": COUNT,
                "input_token_details": Object({"cached_tokens": COUNT, "audio_tokens": COUNT}),
                "output_token_details": Object({"audio_tokens": COUNT}),
            }
        ),
        "output": Objects(_ITEM),
    }
)
_SESSION = Object(
    {
        "expires_at": NUMBER,
        "audio": Object({"input": Object({"turn_detection": _DETECTION})}),
        "tools": Objects(Object({"type": TEXT, "name": TEXT})),
    }
)
EVENT = Object(
    {
        "response": _RESPONSE,
        "item": _ITEM,
        "session": _SESSION,
        "error": _ERROR,
        "response_id": TEXT,
        "item_id": TEXT,
        "previous_item_id": TEXT,
        "content_index": COUNT,
        "delta": TEXT,
        "transcript": TEXT,
        "text": TEXT,
        "arguments": JSON,
        "audio_start_ms": NUMBER,
        "audio_end_ms": NUMBER,
    }
)
"""Every event: a field's name says its type, whichever event it stands in."""


def fitted(event: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """Return `event` without the fields that are of the wrong type, and what was wrong."""
    problems: list[str] = []
    return _fitted(event, EVENT, "", problems), problems[:_MOST_PROBLEMS]


def _fitted(value: Any, shape: Shape, path: str, problems: list[str]) -> Any:
    if value is None:
        return None
    if isinstance(shape, Scalar):
        taken = shape.taken(value)
        if taken is _NOTHING:
            problems.append(f"`{path}` is not {shape.what}")
        return taken
    if isinstance(shape, Objects):
        if not isinstance(value, list):
            problems.append(f"`{path}` is not a list")
            return _NOTHING
        each = [_fitted(one, shape.each, f"{path}[]", problems) for one in value]
        return [one if isinstance(one, dict) else {} for one in each]
    return _fitted_object(value, shape, path, problems)


def _fitted_object(value: Any, shape: Object, path: str, problems: list[str]) -> Any:
    if shape.text and isinstance(value, str):
        return {shape.text: value}
    if not isinstance(value, dict):
        problems.append(f"`{path}` is not an object")
        return _NOTHING
    made = dict(value)
    for name, inner in shape.fields.items():
        if name in made:
            inside = f"{path}.{name}" if path else name
            made[name] = _fitted(made[name], inner, inside, problems)
            if made[name] is _NOTHING:
                del made[name]
    return made
