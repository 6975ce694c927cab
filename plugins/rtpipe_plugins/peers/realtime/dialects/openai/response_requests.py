"""Response requests: one `response.create` at a time, and none before the session stands.

A second one while a response runs is an error at the server, except for those outside the
conversation (`conversation: none`), which may run beside it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Recent
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import ALREADY_ACTIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import Commands
    from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
    from rtpipe_plugins.peers.realtime.dialects.openai.session import SessionCheck

_TRIES = 3
_REMEMBERED = 16


@dataclass(slots=True, eq=False)
class Request:
    """A response that somebody wants."""

    response: Mapping[str, Any]
    tries: int = 0

    @property
    def in_band(self) -> bool:
        """Whether it belongs to the conversation."""
        return self.response.get("conversation") != "none"


class Sequencer:
    """Holds requests back until the conversation has room for one.

    A request leaves through `due`; the server then creates a response, which takes the slot until
    it is done, or refuses the request by an error that names it.
    """

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()
        self._sent: Recent[str, Request] = Recent(_REMEMBERED)
        self._unanswered: str | None = None
        self._beside: deque[str] = deque()

    @property
    def pending(self) -> bool:
        """Whether a request waits, or its response has not begun."""
        return bool(self._waiting or self._beside) or self._unanswered is not None

    def want(self, response: Mapping[str, Any]) -> None:
        """Ask for a response."""
        self._waiting.append(Request(response))

    def forget(self) -> None:
        """Drop the requests that were not sent."""
        self._waiting.clear()

    def due(self, event_id: str, *, busy: bool) -> Mapping[str, Any] | None:
        """Return the response to be asked for now under `event_id`, if any.

        Args:
            event_id: What an error about the request will name.
            busy: Whether a response of the conversation is being generated.
        """
        taken = busy or self._unanswered is not None
        request = next((r for r in self._waiting if not (taken and r.in_band)), None)
        if request is None:
            return None
        self._waiting.remove(request)
        request.tries += 1
        if request.in_band:
            self._unanswered = event_id
        else:
            self._beside.append(event_id)
        self._sent[event_id] = request
        return request.response

    def created(self, *, in_band: bool) -> None:
        """A response has begun; the server does not say on whose request."""
        if in_band:
            self._unanswered = None
        elif self._beside:
            self._beside.popleft()

    def refused(self, event_id: str, code: str | None) -> bool:
        """Take an error; returns whether it was about a request.

        A request that met a response of the server's own making is made again, after that.
        """
        request = self._sent.pop(event_id, None)
        if request is None:
            return False
        if self._unanswered == event_id:
            self._unanswered = None
        elif event_id in self._beside:
            self._beside.remove(event_id)
        if code == ALREADY_ACTIVE and request.tries < _TRIES:
            self._waiting.appendleft(request)
        return True


class ResponseRequests:
    """What the model is to say next, by our request.

    Args:
        commands: Makes the commands.
        session: Whether it stands.
        responses: Whether one is being generated.
    """

    def __init__(self, commands: Commands, session: SessionCheck, responses: Responses) -> None:
        self._commands = commands
        self._session = session
        self._responses = responses
        self.sequencer = Sequencer()
        """The requests that wait or are not answered."""

    def want(self, response: Mapping[str, Any]) -> list[Output]:
        """Have the model take its turn; `response` overrides the session for this once."""
        self.sequencer.want(response)
        return self.due()

    def due(self) -> list[Output]:
        """Return the requests whose time has come."""
        sent: list[Output] = []
        while self._session.over:
            busy = self._responses.generating
            response = self.sequencer.due(self._commands.next_id, busy=busy)
            if response is None:
                break
            fields = {"response": response} if response else {}
            sent.append(self._commands.make("response.create", **fields))
        return sent
