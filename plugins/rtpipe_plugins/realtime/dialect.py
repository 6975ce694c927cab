"""The seam between the stage and what is spoken with the server.

OpenAI has more than one real-time protocol, and will have others. A dialect is a pair: how a call
is placed (`Signaling`, over HTTP) and what is said in it (`Conversation`, which does no input or
output of its own: text in, `Output`s out).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rtpipe import Event, RtpipeError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Command:
    """An event for the server."""

    data: Mapping[str, Any]

    def text(self) -> str:
        """Return the event as it travels."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation cannot go on."""

    problem: RtpipeError


Output: TypeAlias = Event | Command | Ended
"""For the bus, for the server, or the end."""


class Conversation(Protocol):
    """The state of one conversation; every method returns what is to be done now, in order."""

    @property
    def announced(self) -> bool:
        """Whether the server has shown its session."""
        ...

    @property
    def established(self) -> bool:
        """Whether the session is the one that was asked for, so that the visitor may be heard."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nobody speaks, nothing is being generated and no answer is owed."""
        ...

    @property
    def transcribing(self) -> bool:
        """Whether the words of a finished turn of the visitor's are still to come."""
        ...

    @property
    def hangover_s(self) -> float:
        """How long a silence must last before the server takes it for the end of a turn (s)."""
        ...

    def receive(self, message: str | bytes) -> list[Output]:
        """Take what the server sent, whatever it is; never raises."""
        ...

    def give_up_waiting(self) -> list[Output]:
        """Go on without the server's word that the session is as asked for."""
        ...

    def say(self, text: str) -> list[Output]:
        """Have the model speak `text`."""
        ...

    def text(self, text: str) -> list[Output]:
        """Put `text` to the model as if the visitor had typed it, and have it answered."""
        ...

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        """Have the model take its turn; `response` overrides the session for this once."""
        ...

    def cancel(self) -> list[Output]:
        """Silence the model and forget what it was still to say."""
        ...

    def clear(self) -> list[Output]:
        """Forget what the visitor has said in this turn so far."""
        ...

    def commit(self) -> list[Output]:
        """End the visitor's turn."""
        ...

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        """Change the session."""
        ...

    def close(self) -> list[Output]:
        """Account for what was going on when the call ended."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says to an offer.

    Attributes:
        sdp: Its half of the connection.
        call_id: Its name for the call, if it gave one.
    """

    sdp: str
    call_id: str | None


class Signaling(Protocol):
    """How a call is placed and ended, outside the call itself."""

    async def place(self, offer: str) -> Answer:
        """Send the SDP `offer`.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """Tell the server that the call is over; failure is logged."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the protocols.

    Attributes:
        channel_label: Name of the data channel, which the client opens.
        signaling: Places the call.
        conversation: Holds it.
    """

    channel_label: str
    signaling: Signaling
    conversation: Conversation
