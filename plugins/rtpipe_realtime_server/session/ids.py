"""Identifiers that look like OpenAI's."""

from __future__ import annotations

import string
from collections.abc import Callable

from rtpipe import randomness

NewId = Callable[[str], str]
"""Makes an identifier from its prefix (`event`, `item`, `resp`, …)."""

MEDIA_EVENT = "media_event"
"""Prefix of an event about audio that is played."""

_BASE62 = string.digits + string.ascii_letters
_LENGTH = 21
_LENGTH_OF_CALLS = 16


def random_id(prefix: str) -> str:
    """Return `prefix_` and 21 random letters and digits, 16 for a function call.

    OpenAI's media server names its own events in another way than the rest.
    """
    if prefix == MEDIA_EVENT:
        return f"event_{randomness().getrandbits(64):016x}"
    return f"{prefix}_{random_text(_LENGTH_OF_CALLS if prefix == 'call' else _LENGTH)}"


def random_text(length: int) -> str:
    """Return `length` random letters and digits."""
    return "".join(randomness().choices(_BASE62, k=length))
