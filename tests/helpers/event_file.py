"""The events that a run writes into a file, read while it goes on or after it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def events_in(path: Path, type: str | None = None) -> list[dict[str, Any]]:
    """Return the events of a `jsonl` file, whole lines alone; those of one type if it is given."""
    whole, _, _ = path.read_text().rpartition("\n")
    told = map(json.loads, whole.splitlines())
    return [event for event in told if type is None or event["type"] == type]


def wait_for_events(
    path: Path, type: str, count: int = 1, timeout: float = 60
) -> list[dict[str, Any]]:
    """Return the events of a type, once there are `count` of them in the file."""
    until = time.monotonic() + timeout
    while True:
        found = events_in(path, type) if path.exists() else []
        if len(found) >= count:
            return found
        assert time.monotonic() < until, f"{len(found)} of {count} {type} in {timeout} s"
        time.sleep(0.05)
