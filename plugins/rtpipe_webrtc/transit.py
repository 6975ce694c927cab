"""Playout delay: how long packets take, and how long the fast must wait for the slow."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque

_MARGIN_S = 0.003
_QUANTILE = 0.98
_HISTORY = 400
"""Packets (8 s) after which bad times are forgotten."""
_RECENT = 50
"""Packets among which the fastest tells the network's least delay: a step of it lasts a second."""
_BURST_S = 0.003
_FIRST_TARGET_S = 0.02


class Transit:
    """Learns the network's delay and jitter from when packets come.

    A transit time is when a packet came less when it was due by the far end's clock. Only
    differences of them mean something, since the two clocks began somewhere.

    Args:
        target_s: How long the fastest packets are to wait (s). None: so long that 98 % of the
            packets of the last 8 s come in time.
        max_s: The most that they are to wait (s).
    """

    def __init__(self, *, target_s: float | None, max_s: float) -> None:
        self.target_s = _FIRST_TARGET_S if target_s is None else target_s
        """How long the fastest packets should wait (s)."""
        self.least_s = 0.0
        """The transit time of the fastest packets (s)."""
        self.jitter_s = 0.0
        """RFC 3550's interarrival jitter (s)."""
        self._fixed = target_s is not None
        self._max_s = max_s
        self._recent_s: deque[float] = deque(maxlen=_RECENT)
        self._history_s: deque[float] = deque()
        self._sorted_s: list[float] = []
        self._last_s: float | None = None
        self._arrived_s = -_BURST_S
        self._worst_s = 0.0

    def learn(self, transit_s: float, arrived_s: float, *, newest: bool) -> None:
        """Reckon with how long a packet has taken.

        Args:
            transit_s: Its transit time (s).
            arrived_s: When it came (s).
            newest: Whether none that was sent after it has come before.
        """
        if newest:
            if self._last_s is not None:
                self.jitter_s += (abs(transit_s - self._last_s) - self.jitter_s) / 16
            self._last_s = transit_s
        self._recent_s.append(transit_s)
        self.least_s = min(self._recent_s)
        # After a stall everything comes at once: that is one late packet, not many.
        if arrived_s - self._arrived_s > _BURST_S or transit_s > self._worst_s:
            self._worst_s = transit_s
            self._remember(transit_s)
        self._arrived_s = arrived_s

    def _remember(self, transit_s: float) -> None:
        self._history_s.append(transit_s)
        known = self._sorted_s
        insort(known, transit_s)
        if len(known) > _HISTORY:
            del known[bisect_right(known, self._history_s.popleft()) - 1]
        if self._fixed:
            return
        # What comes later than the limit cannot be waited for, so it is not reckoned with.
        count = max(1, bisect_right(known, self.least_s + self._max_s))
        needed_s = known[int(_QUANTILE * (count - 1))] - self.least_s + _MARGIN_S
        if len(known) < _RECENT:
            needed_s = max(needed_s, _FIRST_TARGET_S)
        self.target_s = min(needed_s, self._max_s)
