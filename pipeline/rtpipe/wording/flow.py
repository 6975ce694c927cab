"""Plain values as YAML text: one line for a help, many for `rtpipe print`.

Whatever is written here, the reader reads as the same value again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeGuard

from rtpipe.wording.scalars import typed

_WIDTH = 88
_PLAIN = re.compile(r"[^\W\d][\w/.%+*()$=-]*(?: [\w/.%+*()$=-]+)*")


def flow(value: Any, *, outer: bool = True) -> str:
    """Return `value` as YAML on one line.

    Args:
        value: Plain dicts, lists and values.
        outer: Whether a mapping keeps its own braces.
    """
    if isinstance(value, dict):
        inside = ", ".join(f"{_scalar(key)}: {flow(inner)}" for key, inner in value.items())
        return f"{{{inside}}}" if outer else inside
    if isinstance(value, list | tuple):
        return f"[{', '.join(flow(item) for item in value)}]"
    return _scalar(value)


def snippet(value: Any, *, outer: bool = True) -> str:
    """Return `value` as YAML that may stand between backticks."""
    return flow(value, outer=outer).replace("`", "'")


def block(value: Any) -> str:
    """Return `value` as YAML on several lines; what is short and holds little stays on one."""
    if isinstance(value, dict | list) and value:
        return "".join(f"{line.rstrip()}\n" for line in _lines(value))
    return flow(value) + "\n"


def _lines(value: dict[str, Any] | list[Any]) -> list[str]:
    lines: list[str] = []
    if isinstance(value, list):
        for item in value:
            # an item that is a mapping begins on the line of its dash, however short it is
            whole = isinstance(item, dict) and bool(item)
            first, *more = _lines(item) if whole or _is_open(item) else [flow(item)]
            lines += [f"- {first}", *(f"  {line}" for line in more)]
        return lines
    for key, inner in value.items():
        if isinstance(inner, str) and _is_prose(inner):
            sign = "|" if inner.endswith("\n") else "|-"
            lines.append(f"{_scalar(key)}: {sign}")
            lines += [f"  {line}" for line in inner.removesuffix("\n").split("\n")]
        elif _is_open(inner):
            lines += [f"{_scalar(key)}:", *(f"  {line}" for line in _lines(inner))]
        else:
            lines.append(f"{_scalar(key)}: {flow(inner)}")
    return lines


def _is_prose(text: str) -> bool:
    """Whether a text can be written line by line as it is."""
    first, *more = text.removesuffix("\n").split("\n")
    if not more or not first or not more[-1] or first[0].isspace():
        return False
    return all(line.isprintable() and line == line.rstrip() for line in (first, *more))


def _is_open(value: Any) -> TypeGuard[dict[str, Any] | list[Any]]:
    """Whether a value gets lines of its own: a list of mappings, or what is too long for one."""
    if not isinstance(value, dict | list) or not value:
        return False
    holds_mappings = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    return holds_mappings or _at_least(value) > _WIDTH or len(flow(value)) > _WIDTH


def _at_least(value: Any) -> int:
    """Return how many columns `value` takes at least, counted only as far as matters."""
    if not isinstance(value, dict | list):
        return len(value) if isinstance(value, str) else 1
    columns = 0
    for item in (*value, *value.values()) if isinstance(value, dict) else value:
        columns += _at_least(item)
        if columns > _WIDTH:
            break
    return columns


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and isinstance(typed(text), str):
        return text
    return "".join(_escaped(char) for char in json.dumps(text, ensure_ascii=False))


def _escaped(char: str) -> str:
    """Return a character as it may stand between double quotes, where YAML is stricter."""
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
