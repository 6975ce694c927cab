"""Several streams on one timeline of samples, with silence where a stream has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_BLOCK = 48_000
"""The silence of a long hole comes out in pieces of at most this many samples."""


class Aligner:
    """Takes pieces of mono streams at their positions and gives out what is complete, in order.

    Complete is what every stream has reached. A stream that lags is waited for up to `patience`;
    one that lags more has fallen silent, and then the others are held back by `grace` only, so
    that it can come back in its place.

    Args:
        tracks: How many streams there are.
        patience: In samples; may be set at any time, as `grace` may.
        grace: In samples.
    """

    def __init__(self, tracks: int, *, patience: int, grace: int) -> None:
        self.patience = patience
        self.grace = grace
        self._held = np.zeros((0, tracks), np.int16)
        self._ends = [0] * tracks
        self.given = 0
        """How many samples of the timeline have been given out."""

    def earliest(self, track: int) -> int:
        """Return the first position at which `track` can still take samples."""
        return max(self.given, self._ends[track])

    @property
    def furthest(self) -> int:
        """The end of what has come of the stream that is ahead."""
        return max(self._ends)

    def add(self, track: int, at: int, data: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        """Put samples at a position of a track; yield what that makes complete.

        Args:
            track: From 0.
            at: Not before `earliest(track)`.
            data: Shape (samples,).

        Yields:
            What is complete, shape (samples, tracks).
        """
        end = at + len(data)
        yield from self._until(min(at, end - self.patience))  # a long hole is never held
        missing = end - self.given - len(self._held)
        if missing > 0:
            tail = np.zeros((missing, self._held.shape[1]), np.int16)
            self._held = np.concatenate([self._held, tail])
        self._held[at - self.given : end - self.given, track] = data
        self._ends[track] = end
        yield from self._until(self._complete())

    def until(self, position: int) -> Iterator[NDArray[np.int16]]:
        """Yield what is held up to a position, and silence: nobody is waited for any more."""
        yield from self._until(position)

    def rest(self) -> Iterator[NDArray[np.int16]]:
        """Yield what is held: all streams have ended."""
        yield from self._until(max(self._ends))

    def _complete(self) -> int:
        furthest = max(self._ends)
        return min(
            end if furthest - end <= self.patience else furthest - self.grace for end in self._ends
        )

    def _until(self, position: int) -> Iterator[NDArray[np.int16]]:
        while self.given < position:
            count = min(position - self.given, _BLOCK)
            block, self._held = self._held[:count], self._held[count:]
            if len(block) < count:
                silence = np.zeros((count - len(block), block.shape[1]), np.int16)
                block = np.concatenate([block, silence])
            self.given += count
            yield block
