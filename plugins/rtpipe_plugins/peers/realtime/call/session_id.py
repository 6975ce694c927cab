"""What a conversation is called in every record of it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe import Clock


def new_session_id(clock: Clock) -> str:
    """Return a new name for a conversation: the local time, and what no other has.

    In virtual time it is how far that has come: every run is the same.
    """
    if clock.virtual:
        return f"virtual-{clock.now():.3f}"
    return f"{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
