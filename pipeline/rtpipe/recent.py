"""A bounded dict: what is remembered of the last N things, in a process that runs for months."""

from __future__ import annotations

from collections import UserDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(UserDict[K, V]):
    """A dict of at most `limit` keys: a new one pushes the oldest out (FIFO eviction).

    Args:
        limit: How many keys it holds.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self.data) > self._limit:
            del self.data[next(iter(self.data))]
