"""JSON as clients may send it: no NaN, which no other reader takes back, and of bounded depth."""

from __future__ import annotations

import json
from typing import Any, NoReturn

_DEEPEST = 100
"""What is copied, echoed and checked level by level must not exhaust Python's stack."""


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level = [value]
    for _ in range(_DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level
                 if isinstance(each, dict | list)]  # fmt: skip
        level = [each for values in inner for each in values]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
