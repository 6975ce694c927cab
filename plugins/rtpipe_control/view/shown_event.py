"""An event as it is shown outside: its payload, and what it means to a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rtpipe.events import attributed_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import Event


def shown(event: Event) -> dict[str, Any]:
    """Return `event` with its line, its importance and its speaker."""
    _, line = attributed_line(event)
    return {
        **event.as_dict(),
        "line": line,
        "importance": type(event).importance.name.lower(),
        "speaker": type(event).speaker,
    }


def as_json(value: Any, mask: Callable[[str], str]) -> bytes:
    """Return `value` as JSON on one line, secrets taken out by `mask`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return mask(text).encode("utf-8", "backslashreplace")
