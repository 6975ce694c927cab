"""Arguments for a function that is to be called whatever was said: the least its schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST: dict[str, Any] = {
    "string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "null": None,
}  # fmt: skip


def least(schema: Mapping[str, Any]) -> Any:
    """Return a value for a JSON Schema: its default, its first choice, or something empty.

    Limits on numbers, lengths and patterns are not looked at.
    """
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return least(schema[key][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind != "object":
        return _LEAST.get(kind)
    properties = schema.get("properties", {})
    return {name: least(properties.get(name, {})) for name in schema.get("required", ())}
