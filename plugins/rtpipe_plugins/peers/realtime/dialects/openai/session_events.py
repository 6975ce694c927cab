"""What the server says of the session: shown, changed, expired, refused; and all its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.dialects.conversation import Ended
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, text_of
from rtpipe_plugins.peers.realtime.errors import FATAL_CODES, CallRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import Commands
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.session_check import SessionCheck
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class SessionEvents:
    """Reacts to the events about the session.

    Args:
        commands: Makes the commands.
        session: Whether it is the one that was asked for.
        detection: Of the visitor's turns; the session has its settings.
        requests: What waits for it.
    """

    def __init__(
        self,
        commands: Commands,
        session: SessionCheck,
        detection: TurnDetection,
        requests: ResponseRequests,
    ) -> None:
        self._commands = commands
        self._session = session
        self._detection = detection
        self._requests = requests
        self.reactions: Mapping[str, Callable[[Mapping[str, Any]], list[Output]]] = {
            "session.created": self._created,
            "session.updated": self._updated,
            "error": self._error,
        }
        """By the event's name."""

    def stands(self) -> list[Output]:
        """The session is as asked for, or has to do."""
        self._session.end()
        return self._requests.due()

    def _created(self, event: Mapping[str, Any]) -> list[Output]:
        session = object_of(event, "session")
        self._detection.session(session)
        missing = self._session.shown(session)
        if not missing:
            return [] if self._session.waiting else self.stands()
        update = self._commands.make("session.update", session={**missing, "type": "realtime"})
        self._session.asked(str(update.data["event_id"]))
        return [update]

    def _updated(self, event: Mapping[str, Any]) -> list[Output]:
        session = object_of(event, "session")
        self._detection.session(session)
        self._session.changed(session)
        return [] if self._session.over else self.stands()

    def _error(self, event: Mapping[str, Any]) -> list[Output]:
        error = object_of(event, "error")
        code, message = text_of(error, "code"), text_of(error, "message")
        cause = text_of(error, "event_id")
        if code == "session_expired":
            return [Ended(NotConnected(f"the session has expired: {message}"))]
        if code in FATAL_CODES:
            return [fatal(code, message)]
        self._detection.refused(cause)
        if self._requests.sequencer.refused(cause, code):
            return self._requests.due()
        if self._session.refused(cause):
            if self._session.survives:
                return self.stands()
            problem = CallRefused(f"the server refuses the session: {message}", code=code or None)
            return [Ended(problem)]
        return []


def fatal(code: str, message: str) -> Ended:
    """Return the end that one of `FATAL_CODES` is."""
    return Ended(
        CallRefused(f"the server ends it: {message}", code=code, exit_code=FATAL_CODES[code])
    )
