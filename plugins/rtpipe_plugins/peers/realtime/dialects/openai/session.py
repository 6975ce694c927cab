"""Session negotiation: what was asked for, what the server shows, refuses, or ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import ExitCode, NotConnected
from rtpipe.errors import on_one_line
from rtpipe_plugins.peers.realtime.dialects.conversation import Ended
from rtpipe_plugins.peers.realtime.dialects.openai.messages import (
    difference,
    object_of,
    text_of,
)
from rtpipe_plugins.peers.realtime.dialects.openai.wire.beta import flat, is_flat, nested
from rtpipe_plugins.peers.realtime.dialects.openai.wire.formats import (
    Direction,
    UnknownFormat,
    shown_format,
)
from rtpipe_plugins.peers.realtime.errors import (
    FATAL_CODES,
    MODEL_CODES,
    CallRefused,
    permanent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import (
        Commands,
        OpenRequests,
        OwnItems,
    )
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class SessionCheck:
    """Whether the session is the one that was asked for.

    Args:
        wanted: The session object.
        given: Says, once the call is placed, whether the server has had it with the offer; then
            only what it shows differently is asked for again.
    """

    def __init__(self, wanted: Mapping[str, Any], *, given: Callable[[], bool]) -> None:
        self._wanted = {key: value for key, value in wanted.items() if key != "model"}
        self._given = given
        self._asked: str | None = None
        self.announced = False
        """Whether the server has shown its session."""
        self.over = False
        """Whether the session stands."""
        self.flat = False
        """Whether the server speaks as the beta did."""
        self.expires_at: float | None = None
        """See `Conversation.expires_at`."""

    def shown(self, session: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the server's session; returns what is to be asked for, nothing if all is well."""
        self.announced = True
        self.changed(session)
        if self.over or self._asked is not None:
            return {}
        return difference(self._wanted, nested(session)) if self._given() else self._wanted

    def changed(self, session: Mapping[str, Any]) -> None:
        """Take what the server shows of the session at any time."""
        self.flat = self.flat or is_flat(session)
        ends = session.get("expires_at")
        if isinstance(ends, int | float):
            self.expires_at = ends if ends > 0 else None

    @property
    def waiting(self) -> bool:
        """Whether the server has been asked again and has not answered."""
        return self._asked is not None

    def asked(self, event_id: str) -> None:
        """The update that an error about it will name."""
        self._asked = event_id

    def refused(self, event_id: str) -> bool:
        """Take an error; returns whether it was about the update."""
        return bool(event_id) and event_id == self._asked

    @property
    def survives(self) -> bool:
        """Whether a refused update leaves a session: the server took the same one before."""
        return self._given()

    def end(self) -> None:
        """The session stands, or has to do."""
        self.over = True
        self._asked = None


_UNREADABLE: dict[Direction, str] = {
    "output": "the server speaks in `{}`, which cannot be played here",
    "input": "the server listens to `{}`, which cannot be made here",
}


class SessionEvents:
    """Reacts to the events about the session.

    Args:
        commands: Makes the commands.
        session: Whether it is the one that was asked for.
        detection: Of the visitor's turns; the session has its settings.
        requests: What waits for it.
        items: What of ours is in the conversation.
        open_requests: What an error may be about.
        reads_audio: Whether the audio travels in events, in the format that the session has.
    """

    def __init__(
        self,
        commands: Commands,
        session: SessionCheck,
        detection: TurnDetection,
        requests: ResponseRequests,
        items: OwnItems,
        open_requests: OpenRequests,
        *,
        reads_audio: bool,
    ) -> None:
        self._reads_audio = reads_audio
        self._unreadable: dict[Direction, str] = {}
        self._commands = commands
        self._session = session
        self._items = items
        self._open_requests = open_requests
        self._detection = detection
        self._requests = requests
        self.reactions: Mapping[str, Callable[[Mapping[str, Any]], list[Output]]] = {
            "session.created": self._created,
            "session.updated": self._updated,
            "error": self._error,
        }
        """By the event's name."""

    def stands(self) -> list[Output]:
        """The session is as asked for, or has to do: where its audio can be read."""
        for problem in self._unreadable.values():
            return [Ended(CallRefused(problem))]
        if self._session.over:
            return []
        self._session.end()
        return self._requests.due()

    def update(self, session: Mapping[str, Any]) -> Command:
        """Return the command that changes this of the session, in the server's own shape."""
        asked = flat(session) if self._session.flat else {**session, "type": "realtime"}
        return self._commands.make("session.update", session=asked)

    def _created(self, event: Mapping[str, Any]) -> list[Output]:
        missing = self._session.shown(self._take(event))
        if not missing:
            return [] if self._session.waiting else self.stands()
        update = self.update(missing)
        self._session.asked(str(update.data["event_id"]))
        return [update]

    def _updated(self, event: Mapping[str, Any]) -> list[Output]:
        self._session.changed(self._take(event))
        return self.stands()

    def _take(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        session = object_of(event, "session")
        shown = nested(session)
        self._detection.session(shown)
        for direction, problem in _UNREADABLE.items():
            try:
                if shown_format(shown, direction) is not None:
                    self._unreadable.pop(direction, None)
            except UnknownFormat as unknown:
                if self._reads_audio:
                    self._unreadable[direction] = problem.format(unknown)
        return session

    def _error(self, event: Mapping[str, Any]) -> list[Output]:
        error = object_of(event, "error") or event  # some servers send it without an envelope
        code, message = text_of(error, "code"), text_of(error, "message")
        cause = self._open_requests.refused(error)
        if code == "session_expired":
            return [Ended(NotConnected(f"the session has expired: {message}"))]
        exit_code = self._permanent(code, text_of(error, "type"), message, cause)
        if exit_code is not None:
            return [fatal(code, message, exit_code)]
        self._detection.refused(cause)
        self._items.refused(cause)
        if self._requests.sequencer.refused(cause, code):
            return self._requests.due()
        if self._session.refused(cause):
            its_own_fault = text_of(error, "type") == "server_error"
            if self._session.survives or its_own_fault:
                return self.stands()
            problem = CallRefused(f"the server refuses the session: {message}", code=code or None)
            return [Ended(problem)]
        return []

    def _permanent(self, code: str, type: str, message: str, cause: str) -> ExitCode | None:
        """Return what the call ends with for an error that no further call can change."""
        if cause:  # about a command of ours, which may be about another model
            return None if code in MODEL_CODES else permanent(code, None)
        if self._session.announced or self._session.over:
            return permanent(code, type)
        # Nothing but the call can have been refused: the server has had no command.
        exit_code = permanent(code, type, message)
        asked_wrong = type == "invalid_request_error"
        return ExitCode.CONFIGURATION if exit_code is None and asked_wrong else exit_code


def fatal(code: str, message: str, exit_code: ExitCode | None = None) -> Ended:
    """Return the end that an error is which no further call can change.

    Args:
        code: OpenAI's code; one of `FATAL_CODES` where there is no `exit_code`.
        message: The server's words.
        exit_code: What the stage ends with.
    """
    return Ended(
        CallRefused(
            f"the server ends it: {on_one_line(message, 300) or code}",
            code=code or None,
            exit_code=exit_code or FATAL_CODES[code],
        )
    )
