"""Handover: what the next call is told of those before it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rtpipe import NotConnected

if TYPE_CHECKING:
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall
    from rtpipe_plugins.peers.realtime.dialects.conversation import History, Item

PROVED_S = 1.0
"""A call that follows one that stood only briefly is told nothing before: it may end as soon, and
what it is told is billed."""


class Handover:
    """Tells a call what was said before it, once. Times are pipeline seconds.

    Args:
        history: What was said.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._unconfirmed: list[Item] = []
        self._owed = False
        self._due_at: float | None = None

    def leave(self, call: ActiveCall, *, owed: bool, wanted: bool) -> None:
        """Take over what `call` leaves behind.

        Args:
            call: Its time is over.
            owed: Whether it owed an answer.
            wanted: Whether somebody still waits for one.
        """
        self._unconfirmed += call.conversation.unconfirmed
        self._owed = (self._owed or owed) and wanted

    def due(self, at: float) -> None:
        """Have the call that serves now told at `at`, or as soon as somebody needs it."""
        self._due_at = at

    def tell(self, call: ActiveCall, now: float | None = None) -> int:
        """Tell `call`, if it is due and was not told; returns how many items it was.

        Args:
            call: It serves.
            now: The time; None where it is needed at once.
        """
        if self._due_at is None or (now is not None and now < self._due_at):
            return 0
        conversation, items = call.conversation, self._history.replay()
        with suppress(NotConnected):  # it is lost, and the next call is told
            self._due_at = None
            call.carry_out(conversation.replay(items))
            call.carry_out(conversation.create(self._unconfirmed))
            if self._owed and (self._history.answer_owed or self._unconfirmed):
                call.carry_out(conversation.respond({}))
            self._unconfirmed, self._owed = [], False
        return len(items)
