"""Lenient parsing of what a server sends: everything in it may be missing, or something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUGE = 1e15  # Python's integers know no bounds, its floats do


def text_of(values: Mapping[str, Any], key: str) -> str:
    """Return the string under `key`; "" where there is none."""
    value = values.get(key)
    return value if isinstance(value, str) else ""


def number_of(values: Mapping[str, Any], key: str) -> float:
    """Return the number under `key`; 0 where there is none."""
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and abs(value) < _HUGE else 0.0


def object_of(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under `key`; an empty one where there is none."""
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def objects_of(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in the array under `key`."""
    value = values.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def place_of(event: Mapping[str, Any]) -> tuple[str, tuple[str, int]]:
    """Return the response, and in it the item and the content part, that `event` is about."""
    index = event.get("content_index")
    part = index if isinstance(index, int) else 0
    return text_of(event, "response_id"), (text_of(event, "item_id"), part)


def difference(wanted: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the session `wanted` the server shows differently in its own.

    What the server does not show at all is taken as granted: it leaves keys out that it obeys.
    """
    missing: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in shown or _says(shown[key], value):
            continue
        if isinstance(value, dict) and isinstance(shown[key], dict):
            missing[key] = difference(value, shown[key])
        else:
            missing[key] = value
    return missing


def _says(shown: Any, value: Any) -> bool:
    """Return whether `shown` says `value`; it may say more, since servers fill in defaults."""
    if isinstance(value, dict):
        return isinstance(shown, dict) and all(
            _says(shown[key], nested) for key, nested in value.items() if key in shown
        )
    if isinstance(value, list):
        return (
            isinstance(shown, list)
            and len(shown) == len(value)
            and all(_says(one, other) for one, other in zip(shown, value, strict=True))
        )
    return bool(shown == value)
