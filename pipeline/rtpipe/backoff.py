"""Exponential back-off with jitter: how long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe.clock import randomness

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_DOUBLINGS = 32


def _chance() -> float:
    return randomness().random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts at one thing; whoever tries counts them.

    Attributes:
        initial_s: The first pause (s); each further one is up to twice as long.
        max_s: No pause is longer (s), unless the far end asks for it.
        jitter: Which part of a pause is left to chance, so that many clients spread out: 0 none,
            1 all of it.
        patience_s: The longest that the far end may ask for (s).
        chance: Returns evenly distributed numbers from 0 to 1.
    """

    initial_s: float
    max_s: float
    jitter: float = 0.5
    patience_s: float = 3600.0
    chance: Callable[[], float] = _chance

    def pause_s(self, failures: int, asked_s: float | None = None) -> float:
        """Return how long to wait now (s).

        Args:
            failures: How many attempts failed before the last one: 0 at first.
            asked_s: How long the far end wants to be left alone (s), if it says (Retry-After).
        """
        ceiling_s = min(self.initial_s * 2.0 ** min(failures, _MOST_DOUBLINGS), self.max_s)
        pause_s = ceiling_s * (1.0 - self.jitter * (1.0 - self.chance()))
        return max(pause_s, min(asked_s or 0.0, self.patience_s))
