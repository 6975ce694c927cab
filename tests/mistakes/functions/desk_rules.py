"""What the mistakes beside it name."""

from typing import Any

HOURS = {"museum": "from ten to six"}


def on_failure(event: Any) -> None:
    """Take note of it."""


def find_room(name: str, floor: str) -> str:
    """Say where a room is."""
    return f"{name}: {floor}"


def by_place(name: str, /) -> str:
    """Say where something is."""
    return name
