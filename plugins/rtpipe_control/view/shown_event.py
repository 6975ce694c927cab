"""An event as it is shown outside: its payload, and what it means to a person."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rtpipe.events import attributed_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import Event

_DEEPEST = 40
"""So deep a value is shown as it is; what is below, as a text."""


class ShownEvent(dict[str, Any]):
    """An event as it is shown; its JSON is made once, for all who read it, when one does."""

    __slots__ = ("_json",)

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told)
        self._json: bytes | None = None

    def as_json(self, mask: Callable[[str], str]) -> bytes:
        """Return it as `as_json` does."""
        if self._json is None:
            self._json = as_json(self, mask)
        return self._json


def shown(event: Event) -> ShownEvent:
    """Return `event` with its line, its importance and its speaker."""
    _, line = attributed_line(event)
    return ShownEvent(
        {
            **event.as_dict(),
            "line": line,
            "importance": type(event).importance.name.lower(),
            "speaker": type(event).speaker,
        }
    )


def as_json(value: Any, mask: Callable[[str], str]) -> bytes:
    """Return `value` as JSON on one line, secrets taken out of its texts by `mask`.

    Whatever it holds: what JSON has no form for becomes a text, a number that is none null.
    """
    return dumped(plain(value, mask))


def dumped(value: Any) -> bytes:
    """Return a plain value as JSON on one line."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any, mask: Callable[[str], str], levels: int = _DEEPEST) -> Any:
    """Return `value` with nothing in it that JSON does not know, secrets taken out by `mask`.

    Text by text, not in the JSON: a secret of digits would take numbers apart.
    """
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if levels and isinstance(value, Mapping):
        return {mask(f"{key}"): plain(each, mask, levels - 1) for key, each in value.items()}
    if levels and isinstance(value, (list, tuple, set, frozenset, deque)):
        return [plain(each, mask, levels - 1) for each in value]
    return mask(f"{value}")
