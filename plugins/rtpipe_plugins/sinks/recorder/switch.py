"""Whether a recorder records, is paused or is stopped, and which samples that lets through."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from rtpipe import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State: TypeAlias = Literal["recording", "paused", "stopped"]
Order: TypeAlias = Literal["start", "stop", "pause", "resume", "split", "move"]

ORDERS: tuple[Order, ...] = get_args(Order)
"""`move`, by a reload alone: go on in a file of another name."""

_AFTER: dict[Order, dict[State, State]] = {
    "start": {"stopped": "recording"},
    "stop": {"recording": "stopped", "paused": "stopped"},
    "pause": {"recording": "paused"},
    "resume": {"paused": "recording"},
    "split": {"recording": "recording", "paused": "paused"},
    "move": {"recording": "recording", "paused": "paused", "stopped": "stopped"},
}
_GOAL: dict[Order, State] = {
    "start": "recording",
    "stop": "stopped",
    "pause": "paused",
    "resume": "recording",
}
_REMEMBERED = 64
"""Turns of the switch; what comes later than all of them is judged by the oldest."""


class Switch:
    """Turned by a recorder's actions, at samples of its timeline.

    Args:
        state: How it stands before the first sample.
    """

    def __init__(self, state: State) -> None:
        self.state: State = state
        self._since: deque[tuple[int, State]] = deque([(0, state)], maxlen=_REMEMBERED)

    @property
    def turned_at(self) -> int:
        """The sample at which it was turned last."""
        return self._since[-1][0]

    def why_not(self, order: Order) -> str:
        """Return why an order changes nothing or cannot be followed; "": it can."""
        if self.state in _AFTER[order]:
            return ""
        if order == "start":
            paused = self.state == "paused"
            return "it is paused: resume does it" if paused else "it records already"
        if self.state == "stopped":
            return "it is stopped"
        return "it is paused already" if order == "pause" else "it is not paused"

    def turn(self, order: Order, at: int) -> bool:
        """Follow an order from a sample on; returns False where that is how it stands already.

        Raises:
            StageError: It cannot: what is stopped has no file to pause, resume or split.
        """
        after = _AFTER[order].get(self.state)
        if after is None:
            if self.state == _GOAL.get(order):
                return False
            raise StageError(f"{self.why_not(order)}: `{order}` cannot be done")
        self.state = after
        self._since.append((at, after))
        return True

    def silenced(self, data: NDArray[np.int16], at: int) -> NDArray[np.int16]:
        """Return samples with zeros for those that are not to be recorded.

        By when they were heard: they may come, and be written, after a later turn of the switch.

        Args:
            data: Shape (samples,).
            at: Where on the timeline the first was heard.
        """
        begin, state = self._since[-1]
        if at >= begin:
            return data if state == "recording" else data * 0
        kept = data.copy()
        end = at + len(data)
        for begin, state in reversed(self._since):
            if state != "recording" and begin < end:
                kept[max(begin - at, 0) : end - at] = 0
            end = min(end, begin)
            if end <= at:
                break
        else:  # before the first that is remembered
            if self._since[0][1] != "recording":
                kept[: max(end - at, 0)] = 0
        return kept
