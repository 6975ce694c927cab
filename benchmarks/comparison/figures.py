"""Medians and ratios of what was measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between what it lies."""

    median: float
    least: float
    most: float

    def text(self, *, with_range: bool = True) -> str:
        """Return it in three digits or so."""
        if not with_range or self.least == self.most:
            return short(self.median)
        return f"{short(self.median)} ({short(self.least)}…{short(self.most)})"


def short(value: float) -> str:
    """Return a number as a table shows it: three digits, but never rounded before the point."""
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(section: dict[str, Any], subject: str, figure: str) -> Spread | None:
    """Return a figure over the rounds; None where it was not measured."""
    return _spread([value for value in _values(section, subject, figure) if value is not None])


def ratio(section: dict[str, Any], over: tuple[str, str], under: tuple[str, str]) -> Spread | None:
    """Return how many times one figure is another, each (subject, figure): within a round."""
    pairs = zip(_values(section, *over), _values(section, *under), strict=False)
    return _spread([a / b for a, b in pairs if a is not None and b])


def same_samples(section: dict[str, Any]) -> str:
    """Return a sentence on the output of those that do the same work."""
    hashes = {each.get("hash") for each in section["outputs"].values() if each["same"]}
    if len(hashes) == 1:
        return "The samples of those that do the same work are the same."
    return "**The samples of those that should do the same work differ.**"


def _values(section: dict[str, Any], subject: str, figure: str) -> list[float | None]:
    values: list[float | None] = section["subjects"].get(subject, {}).get(figure, [])
    return values


def _spread(values: list[float]) -> Spread | None:
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values))
