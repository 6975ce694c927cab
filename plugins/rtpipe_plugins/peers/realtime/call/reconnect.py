"""When to try again: exponential back-off with full jitter, so that clients spread out."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pydantic import Field

from rtpipe import Options

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_S = 300.0
"""However long a server says that it wants to be left alone."""


class Reconnect(Options):
    """How a lost call is called again, while the pipeline goes on."""

    initial_s: float = Field(default=0.5, gt=0)
    """The first pause is chance between none and this; each further one may be twice as long."""
    max_s: float = Field(default=15.0, gt=0)
    """No pause is longer, except where the server asks for it."""
    give_up_s: float | None = Field(default=None, gt=0)
    """End the stage when there has been no call for so long. `null`: never."""


class Backoff:
    """The pauses between attempts at one thing.

    Args:
        options: How long they are.
        chance: Returns evenly distributed numbers from 0 to 1.
    """

    def __init__(self, options: Reconnect, chance: Callable[[], float] = random.random) -> None:
        self._options = options
        self._chance = chance
        self.attempts = 0
        """How many pauses there were."""

    def pause_s(self, wanted_s: float | None = None) -> float:
        """Return how long to wait now.

        Args:
            wanted_s: What the server asks for (Retry-After), if anything.
        """
        doublings = min(self.attempts, 32)
        self.attempts += 1
        ceiling = min(self._options.initial_s * 2.0**doublings, self._options.max_s)
        return max(self._chance() * ceiling, min(wanted_s or 0.0, _PATIENCE_S))
