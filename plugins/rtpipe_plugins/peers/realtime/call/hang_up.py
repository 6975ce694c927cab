"""Hang-up: a conversation is over, although nobody ends it, when the visitor's audio has ended.

The last words may just have been spoken. So the call goes on until the server has had time to
notice the end of the turn, and then until the answer has been generated, played and received.
"""

from __future__ import annotations

VERDICT_S = 1.5
"""From a silence that is long enough to the server's word that the turn is over."""
TAIL_S = 0.25
"""aiortc delivers 90 ms late; this much silence is the end."""
NOISY_TAIL_S = 1.0
"""Where the far end is never silent."""
WORDS_S = 3.0
"""For the transcript of what the visitor said; nobody needs it to go on."""
PATIENCE_S = 20.0
"""For an answer that does not come."""


class HangUp:
    """Says when to hang up, once the input has ended. Times are pipeline seconds."""

    def __init__(self) -> None:
        self._idle_since: float | None = None
        self.gave_up = False
        """Whether an answer was still owed."""

    def reached(
        self,
        now: float,
        *,
        idle: bool,
        transcribing: bool,
        hangover_s: float,
        sent_at: float,
        heard_at: float,
        news_at: float,
    ) -> bool:
        """Return whether nothing is left to be said.

        Args:
            now: The time.
            idle: Whether nobody speaks and no answer is owed.
            transcribing: Whether words of the visitor's are still to come.
            hangover_s: Silence that the server needs to take a turn for finished.
            sent_at: When the visitor was last audible.
            heard_at: When the model was last audible.
            news_at: When the last event came.
        """
        if not idle:
            self._idle_since = None
            self.gave_up = now - max(sent_at, heard_at, news_at) > PATIENCE_S
            return self.gave_up
        if self._idle_since is None:
            self._idle_since = now
        idle_s = now - self._idle_since
        if transcribing and idle_s < WORDS_S:
            return False
        quiet = now - heard_at >= TAIL_S or idle_s >= NOISY_TAIL_S
        return quiet and now - sent_at >= hangover_s + VERDICT_S
