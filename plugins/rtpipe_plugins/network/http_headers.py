"""HTTP headers that tell the time: `Date`, and `Retry-After`."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def server_time_s(headers: Mapping[str, str]) -> float | None:
    """Return the server's clock (Unix seconds) when it answered; None where it does not tell."""
    return _moment(headers.get("Date", ""))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server wants to be left alone (s); None where it does not say.

    It says so in seconds, or as a date, which is counted by its own clock if it shows that.
    """
    wanted = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", wanted, re.ASCII):
        return float(wanted)
    until, now = _moment(wanted), server_time_s(headers)
    return None if until is None else max(until - (time.time() if now is None else now), 0.0)


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
