"""Identifiers that look like OpenAI's."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable

NewId = Callable[[str], str]
"""Makes an identifier from its prefix (`event`, `item`, `resp`, …)."""

_BASE62 = string.digits + string.ascii_letters
_LENGTH = 21


def random_id(prefix: str) -> str:
    """Return `prefix_` and 21 random letters and digits."""
    return f"{prefix}_{random_text(_LENGTH)}"


def random_text(length: int) -> str:
    """Return `length` random letters and digits."""
    return "".join(secrets.choice(_BASE62) for _ in range(length))
