"""The send queue of a WebSocket: it keeps every command, and audio only while it is fresh."""

from __future__ import annotations

from collections import deque

MOST_MS = 1000.0
"""How much audio may wait for a network that stands still."""


class SendQueue:
    """Events for the server in the order of their making."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, float]] = deque()
        self._audio_ms = 0.0
        self.dropped_ms = 0.0
        """Audio that was never sent, because what came after it was fresher."""

    def __len__(self) -> int:
        return len(self._waiting)

    def command(self, text: str) -> None:
        """Take an event."""
        self._waiting.append((text, 0.0))

    def audio(self, text: str, duration_ms: float) -> None:
        """Take an event that carries audio; the oldest go where more than a second waits."""
        while self._audio_ms + duration_ms > MOST_MS:
            oldest = next(index for index, (_, ms) in enumerate(self._waiting) if ms)
            self._audio_ms -= self._waiting[oldest][1]
            self.dropped_ms += self._waiting[oldest][1]
            del self._waiting[oldest]
        self._waiting.append((text, duration_ms))
        self._audio_ms += duration_ms

    def take(self) -> str:
        """Return the event that is next.

        Raises:
            IndexError: None waits.
        """
        text, duration_ms = self._waiting.popleft()
        self._audio_ms -= duration_ms
        return text
