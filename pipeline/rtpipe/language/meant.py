"""What somebody meant by a value that is not taken: values to try, and the words for a help.

No help proposes what was not tried: `remedy` asks whether a value holds. And none proposes the
nearest value that is in range, or an example: either may be silence, or the opposite.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue import fields
from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, plain
from rtpipe.wording.diagnostics import Remedy, did_you_mean, suggest
from rtpipe.wording.flow import snippet
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_TRIES = 60
"""Values to try for the helps about one stage, or about the file's own keys."""
_FLAGS = {
    **dict.fromkeys(("yes", "on", "y", "true", "1"), True),
    **dict.fromkeys(("no", "off", "n", "false", "0"), False),
}
_NUMBER = re.compile(r"([-+]?[0-9]*[.,]?[0-9]+)\s*([A-Za-z%]*)")
_UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms": 1, "s": 1000},
    "s": {"s": 1, "ms": 0.001, "min": 60, "h": 3600},
    "db": {"db": 1},
    "hz": {"hz": 1, "khz": 1000},
}
"""By the last part of an option's name: which units may stand behind its number by mistake."""
_IN_HERTZ = ("frequency", "rate")


def remedy(node: Node, wanted: Any, key: str, holds: Callable[[Any], bool]) -> Remedy | None:
    """Return the help that says what `node` was meant to be, if there is one answer to that.

    Args:
        node: A value that is not taken.
        wanted: The annotation of what is.
        key: Under which key it stands; "" for an item of a list.
        holds: Whether a plain value is taken there.
    """
    if isinstance(node, MapNode) or (isinstance(node, ScalarNode) and "${" in node.raw):
        return None  # what a reference stands for is written elsewhere
    value = plain(node)
    if isinstance(value, str):
        near = did_you_mean(value, map(str, fields.choices_of(wanted)))
        if near is not None and holds(near.text):
            return near
    for values in _meant(node, wanted, key):
        held = [value for value in values if holds(value)]
        if len(held) == 1:
            words = f"write `{key}: {{}}`" if key else "write `{}`"
            return Remedy(words, snippet(held[0]))
    return None


def taken(wanted: Any, key: str, default: Any = None) -> str:
    """Return the words for what is taken: what it is, and what it is if nothing is written.

    Args:
        wanted: The annotation.
        key: Under which key it stands; "" for an item of a list.
        default: What it is if left out; None: nothing to speak of.
    """
    choices = fields.choices_of(wanted)
    expected = fields.described(wanted).removesuffix(" or nothing")
    words = f"it takes {expected}"
    if choices and len(choices) == 1:
        words = f"it takes `{snippet(choices[0])}` alone"
    if key and isinstance(default, str | int | float) and default != "":
        return f"{words}; left out, it is `{key}: {snippet(default)}`"
    return words


def _meant(node: ScalarNode | ListNode, wanted: Any, key: str) -> Iterator[list[Any]]:
    """Yield groups of values; where one value of a group alone is taken, it was meant."""
    value = plain(node)
    if isinstance(node, ListNode):
        if len(node.items) == 1 and node.items[0].span.line == node.span.line:
            yield [value[0]]
        return
    if value is None:
        return
    types = {mark for mark in fields.marks(wanted) if isinstance(mark, type)}
    if isinstance(value, str):
        yield [number for number in [_number(value, key)] if number is not None]
    if isinstance(value, str):
        words = {"true": bool, "false": bool, "null": type(None)}
        yield [
            typed(word) for word, sort in words.items() if sort in types and suggest(value, [word])
        ]
    flag = _FLAGS.get(str(value).lower())
    if flag is not None and bool in types:
        yield [flag]
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield [node.raw]  # in quotes it is text
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
    if len(parts) > 1:
        yield [parts]
    yield [[value]]
    model = fields.model_of(wanted)
    if model is not None:
        yield [{name: value} for name in model.model_fields]


def _number(text: str, key: str) -> int | float | None:
    """Return the number that a text spells: with a unit behind it, or a comma in it."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    unit = found.group(2).lower()
    last = key.rpartition("_")[2]
    units = _UNITS.get("hz" if last in _IN_HERTZ else last, {})
    factor = 1 if not unit else 0.01 if unit == "%" else units.get(unit)
    if factor is None:
        return None
    value = round(float(found.group(1).replace(",", ".")) * factor, 9)
    return int(value) if value.is_integer() else value
