"""JSON (RFC 8259) of whatever an event carries: one line of UTF-8 that every parser takes."""

from __future__ import annotations

import json
import math
import re

_TO_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON allows, yet ends a line somewhere, steers a terminal or is no UTF-8."""
_DEEPEST = 32


def json_text(value: object) -> str:
    """Return `value` as JSON on one line without control characters.

    What JSON cannot say is said as a text, a number that is none as null: never raises.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(_plain(value, _DEEPEST), ensure_ascii=False)
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object, deeper: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if deeper and isinstance(value, dict):
        return {_words(key): _plain(held, deeper - 1) for key, held in value.items()}
    if deeper and isinstance(value, list | tuple | set | frozenset):
        return [_plain(held, deeper - 1) for held in value]
    if isinstance(value, int) and value.bit_length() <= 64:
        return int(value)
    return _words(value)


def _words(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a stranger's class, or a number beyond Python's own limit
        return f"<{type(value).__name__}>"
