"""The budget meter: how much a conversation has cost, in minutes and tokens."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe_plugins.peers.realtime.options import Budget

_HOUR_S = 3600.0
_LAST_WORDS_S = 30.0


class BudgetMeter:
    """Meters a budget. Times are pipeline seconds."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._earlier_s = 0.0
        self._since: float | None = None
        self._tokens: deque[tuple[float, int]] = deque()
        self._in_an_hour = 0
        self._spent_at: float | None = None
        self._reason: str | None = None

    def connected(self, now: float) -> None:
        """A call begins to cost."""
        if self._since is None:
            self._since = now

    def disconnected(self, now: float) -> None:
        """No call costs anything."""
        if self._since is not None:
            self._earlier_s += now - self._since
            self._since = None

    def generated(self, now: float, tokens: int) -> None:
        """The model has generated."""
        self._tokens.append((now, tokens))
        self._in_an_hour += tokens

    def hang_up(self, now: float, *, idle: bool) -> str | None:
        """Return which limit is reached, in words, once the answer that is being given has ended.

        Args:
            now: The time.
            idle: Whether nobody speaks and no answer is owed.
        """
        if self._spent_at is None:
            self._reason = self._reached(now)
            if self._reason is None:
                return None
            self._spent_at = now
        return self._reason if idle or now - self._spent_at >= _LAST_WORDS_S else None

    def _reached(self, now: float) -> str | None:
        while self._tokens and self._tokens[0][0] <= now - _HOUR_S:
            self._in_an_hour -= self._tokens.popleft()[1]
        tokens, minutes = self._budget.output_tokens_per_hour, self._budget.minutes
        if tokens is not None and self._in_an_hour >= tokens:
            return f"{self._in_an_hour} output tokens within an hour"
        running_s = now - self._since if self._since is not None else 0.0
        if minutes is not None and self._earlier_s + running_s >= minutes * 60:
            return f"{minutes:g} minutes of calls"
        return None
