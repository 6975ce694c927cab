"""One `response.create` at a time: a second one while a response runs is an error at the server."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ALREADY_ACTIVE = "conversation_already_has_active_response"
_TRIES = 3
_REMEMBERED = 16


@dataclass(slots=True)
class Request:
    """A response that somebody wants."""

    response: Mapping[str, Any]
    tries: int = 0


class Sequencer:
    """Holds requests back until the conversation has room for one.

    A request leaves through `due`; the server then creates a response, which takes the slot until
    it is done, or refuses the request by an error that names it.
    """

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()
        self._sent: OrderedDict[str, Request] = OrderedDict()
        self._unanswered: str | None = None

    @property
    def pending(self) -> bool:
        """Whether a request waits, or its response has not begun."""
        return bool(self._waiting) or self._unanswered is not None

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
        if busy or self._unanswered is not None or not self._waiting:
            return None
        request = self._waiting.popleft()
        request.tries += 1
        self._unanswered = event_id
        self._sent[event_id] = request
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return request.response

    def created(self) -> None:
        """A response has begun; the server does not say on whose request."""
        self._unanswered = None

    def refused(self, event_id: str, code: str | None) -> bool:
        """Take an error; returns whether it was about a request.

        A request that met a response of the server's own making is made again, after that.
        """
        request = self._sent.pop(event_id, None)
        if request is None:
            return False
        if self._unanswered == event_id:
            self._unanswered = None
        if code == ALREADY_ACTIVE and request.tries < _TRIES:
            self._waiting.appendleft(request)
        return True
