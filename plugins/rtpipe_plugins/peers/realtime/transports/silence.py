"""Silence: how long nothing has come from a far end, over any transport."""

from __future__ import annotations

DEAD_AFTER_S = 10.0
"""A server that works on two cores is silent for 8."""


class Silence:
    """For how long nothing has come, by looks at a counter. Times are seconds of one clock.

    Args:
        look_s: How often it is looked at.
    """

    def __init__(self, look_s: float) -> None:
        self._look_s = look_s
        self._seen = -1
        self._since = 0.0
        self._looked_at: float | None = None

    def look(self, now: float, received: int) -> float:
        """Return for how long the counter has stood at `received`.

        Where we ourselves did not look for long (a stalled machine, a stopped process) the count
        begins again: what came meanwhile may still wait in the socket.
        """
        stalled = self._looked_at is None or now - self._looked_at > 2 * self._look_s
        self._looked_at = now
        if stalled or received != self._seen:
            self._seen = received
            self._since = now
        return now - self._since
