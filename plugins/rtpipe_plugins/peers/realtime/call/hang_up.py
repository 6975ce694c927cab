"""Hang-up: a conversation is over, although nobody ends it, when the visitor's audio has ended.

The last words may just have been spoken. So the call goes on until the server has had time to
notice the end of the turn, and then until the answer has been generated, played and received. Slow
is not silent: whoever has taken a turn on, and so shows that he is at work on it, gets more time
than one who shows nothing. A server that is gone is noticed by the transport.
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
SIGN_S = 20.0
"""For the first sign that the server works on an answer."""


class HangUp:
    """Says when to hang up, once the input has ended. Times are pipeline seconds.

    Args:
        patience_s: How long nothing may come of an answer that the server works on.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._idle_since: float | None = None
        self._sign_at: float | None = None
        self.gave_up_after_s: float | None = None
        """How long nothing had come of the answer that was given up, if one was."""

    def reached(
        self,
        now: float,
        *,
        idle: bool,
        answering: bool,
        transcribing: bool,
        hangover_s: float,
        sent_at: float,
        heard_at: float,
        news_at: float,
    ) -> bool:
        """Return whether nothing is left to be said, or nothing more is to be hoped for.

        Args:
            now: The time.
            idle: Whether nobody speaks and no answer is owed.
            answering: Whether the server has shown that it works on the answer that is owed.
            transcribing: Whether words of the visitor's are still to come.
            hangover_s: Silence that the server needs to take a turn for finished.
            sent_at: When the visitor was last audible.
            heard_at: When the model was last audible.
            news_at: When the last message came; now, while the answer waits for us.
        """
        if not idle:
            self._idle_since = None
            if self._sign_at is None:
                self._sign_at = now
            self._sign_at = max(self._sign_at, sent_at, heard_at, news_at)
            silent_s = now - self._sign_at
            gives_up = silent_s > (self._patience_s if answering else min(self._patience_s, SIGN_S))
            self.gave_up_after_s = silent_s if gives_up else None
            return gives_up
        self._sign_at = None
        if self._idle_since is None:
            self._idle_since = now
        idle_s = now - self._idle_since
        if transcribing and idle_s < WORDS_S:
            return False
        quiet = now - heard_at >= TAIL_S or idle_s >= NOISY_TAIL_S
        return quiet and now - sent_at >= hangover_s + VERDICT_S
