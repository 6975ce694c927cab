"""Tools of a visitor desk, as a user would write them; loaded by name beside a pipeline file."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

from pydantic import Field


def opening_hours(day: str, *, holiday: bool = False) -> dict[str, str]:
    """Say when the museum is open."""
    return {"day": day, "open": "closed" if holiday else "10 to 18"}


async def seats(room: Annotated[str, Field(description="its name")], count: int = 1) -> str:
    return f"{count} seats in {room}"


def asleep(s: float) -> None:
    time.sleep(s)


def broken() -> None:
    raise LookupError("no such room, asked with sk-secret0123456789")


def leaves() -> None:
    sys.exit(3)


def longwinded() -> str:
    return "x" * 1_000_000


def strange() -> Any:
    return object()


def by_place(day: str, /) -> str:
    return day


def untyped(day: Unknown) -> str:  # type: ignore[name-defined]  # noqa: F821 - what is tested
    return str(day)


NOT_A_FUNCTION = 3
