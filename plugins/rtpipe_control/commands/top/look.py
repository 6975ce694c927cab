"""What the person before the terminal has chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Look:
    """What the person before the terminal has chosen.

    Attributes:
        selected: The stage that is chosen; "" for none.
        talking: Whether the talk key was pressed, and not yet pressed again.
        warnings: Whether all warnings are shown.
        keys: Whether the keys are explained.
        match: Which events are shown: a glob over types and sources, or a part of one; "" for all.
        held: The events as they were when they were held still; None while they are not.
        said: The outcome of the last key, and whether it is trouble.
        listener: Which program plays what is listened to; "" where there is none.
        listening: What is listened to; "" for nothing.
        ascii: Whether only ASCII may be written.
    """

    selected: str = ""
    talking: bool = False
    warnings: bool = False
    keys: bool = False
    match: str = ""
    held: list[dict[str, Any]] | None = None
    said: tuple[str, bool] = ("", False)
    listener: str = ""
    listening: str = ""
    ascii: bool = False
