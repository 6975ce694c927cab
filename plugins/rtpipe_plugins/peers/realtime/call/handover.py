"""Handover: what the next call is told of those before it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rtpipe import NotConnected

if TYPE_CHECKING:
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.dialects.conversation import History, Item

PROVED_S = 0.5
"""A call that follows one that stood only briefly is told nothing before: it may end as soon, and
what it is told is billed."""
_STILL_THERE_S = 10.0
"""So long a visitor waits for an answer whose question a lost call took with it."""


class Handover:
    """Tells a call what was said before it, once. Times are pipeline seconds.

    Args:
        history: What was said.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._unconfirmed: list[Item] = []
        self._owed_at: float | None = None
        self._asked_again = False
        self._due_at: float | None = None

    def leave(self, call: ActiveCall, now: float, *, owed: bool) -> None:
        """Take over what `call` leaves behind.

        Args:
            call: Its time is over.
            now: The time.
            owed: Whether it owed an answer.
        """
        self._unconfirmed += call.conversation.unconfirmed
        told = self._due_at is None
        if owed and not self._asked_again:
            self._owed_at = now
        elif told and not owed:
            self._owed_at = None
        self._asked_again = False

    def due(self, at: float) -> None:
        """Have the call that serves now told at `at`, or as soon as somebody needs it."""
        self._due_at = at

    def tell(self, call: ActiveCall, now: float) -> int:
        """Tell `call`, which serves, if it is due and was not told; returns how many items."""
        if self._due_at is None or now < self._due_at:
            return 0
        conversation, items = call.conversation, self._history.replay()
        self._due_at = None
        with suppress(NotConnected):  # it is lost, and the next call is told
            call.carry_out(conversation.replay(items))
            call.carry_out(conversation.create(self._unconfirmed))
            waiting = self._owed_at is not None and now - self._owed_at < _STILL_THERE_S
            if waiting and (self._history.answer_owed or self._unconfirmed):
                call.carry_out(conversation.respond({}))
                self._asked_again = True
            self._unconfirmed = []
        return len(items)

    def tell_at_once(self, call: ActiveCall) -> None:
        """Tell `call`, which serves: somebody speaks or types, and wants an answer of his own."""
        if self._due_at is not None:
            self._owed_at = None
            self.tell(call, self._due_at)
        self._asked_again = False
